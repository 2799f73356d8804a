"""The workflow on Kubernetes: the same stages as pods. Knows Hera and the Kubernetes API, no torch.

What is sent     names  templates  workflow  training_job  render (the chart's files)  request (a Workflow that refers to them)
For people       commands/  options  kubeconfig  cluster  api_errors  submission  planning  following  errand  fetching  tailing
`make watch`     nodes  pods  measures  reasons  view (all pure)  observing (reads)  watching (draws)
In pods          launcher  verdict (pure)  jobs  fetch
"""
