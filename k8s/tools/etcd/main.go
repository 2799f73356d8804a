// etcd as a program of this module: upstream's own main package cannot be built as a dependency, its server can.
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() { etcdmain.Main(os.Args) }
