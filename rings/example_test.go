package rings_test

import (
	"fmt"

	"rollout/rings"
)

// The waves of a plan: api is not planned, and web still waits for db.
func ExampleGraph_Waves() {
	app := &rings.Application{Name: "shop", Services: []rings.Service{
		{Name: "db", Repo: "https://git.example/db"},
		{Name: "api", Repo: "https://git.example/api", DependsOn: []rings.ServiceName{"db"}},
		{Name: "worker", Repo: "https://git.example/worker", DependsOn: []rings.ServiceName{"db"}},
		{Name: "web", Repo: "https://git.example/web", DependsOn: []rings.ServiceName{"api"}},
	}}
	graph, err := app.Graph()
	if err != nil {
		fmt.Println(err)
		return
	}
	for i, wave := range graph.Waves([]rings.ServiceName{"web", "worker", "db"}) {
		fmt.Println(i+1, wave)
	}
	// Output:
	// 1 [db]
	// 2 [web worker]
}

// All faults are named at once.
func ExampleApplication_Validate() {
	app := &rings.Application{Name: "shop", Services: []rings.Service{
		{Name: "db"},
		{Name: "web", Repo: "https://git.example/web", DependsOn: []rings.ServiceName{"dbs"}},
	}}
	fmt.Println(app.Validate())
	// Output:
	// application "shop":
	//   service "db": the repository is missing
	//   service "web" depends on service "dbs": not found in application "shop"; did you mean "db"?
}
