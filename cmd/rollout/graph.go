package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"rollout/rings"
	"rollout/store"
)

// drawings are the formats that only a graph has.
var drawings = []string{"dot", "svg"}

func (p *program) serviceGraphCommand() *cli.Command {
	return &cli.Command{
		Name: "graph", Usage: "Show the waves in which services are rolled out", ArgsUsage: "APP",
		Description: "-o dot and -o svg draw the graph of dependencies.\n\n" +
			examples("rollout service graph shop", "rollout service graph shop -o svg > shop.svg"),
		Action: func(c *cli.Context) error { return p.runServiceGraph(c.Context, rings.AppName(c.Args().Get(0))) },
	}
}

type graphView struct {
	App   rings.AppName         `json:"app"`
	Waves [][]rings.ServiceName `json:"waves"`
	Edges []edgeView            `json:"edges"`
}

// edgeView: the service depends on the other.
type edgeView struct {
	Service   rings.ServiceName `json:"service"`
	DependsOn rings.ServiceName `json:"dependsOn"`
}

func (p *program) runServiceGraph(ctx context.Context, app rings.AppName) error {
	return p.withApp(ctx, app, func(_ context.Context, _ *store.DB, a *rings.Application) error {
		v, err := viewGraph(a)
		if err != nil {
			return err
		}
		switch p.flags.output {
		case "dot":
			_, err := io.WriteString(p.stdout, drawDot(v))
			return err
		case "svg":
			_, err := io.WriteString(p.stdout, drawSVG(v))
			return err
		}
		return p.print(v, func(w io.Writer) error {
			for i, wave := range v.Waves {
				fmt.Fprintf(w, "wave %-3d %s\n", i+1, strings.ReplaceAll(join(wave), ", ", "  "))
			}
			return nil
		})
	})
}

func viewGraph(a *rings.Application) (graphView, error) {
	g, err := a.Graph()
	if err != nil {
		return graphView{}, err
	}
	v := graphView{App: a.Name, Waves: g.Waves(a.ServiceNames()), Edges: []edgeView{}}
	if v.Waves == nil {
		v.Waves = [][]rings.ServiceName{}
	}
	for _, wave := range v.Waves {
		for _, name := range wave {
			s, err := a.Service(name)
			if err != nil {
				return v, err
			}
			for _, d := range serviceNames(strings.Split(join(s.DependsOn), ", ")) {
				v.Edges = append(v.Edges, edgeView{name, d})
			}
		}
	}
	return v, nil
}

// drawDot writes the graph in the order of the waves, so that the same graph
// is always the same text.
func drawDot(v graphView) string {
	var b strings.Builder
	fmt.Fprintf(&b, "strict digraph %q {\n\trankdir=LR\n", v.App)
	for _, wave := range v.Waves {
		for _, name := range wave {
			fmt.Fprintf(&b, "\t%q\n", name)
		}
	}
	for _, e := range v.Edges {
		fmt.Fprintf(&b, "\t%q -> %q\n", e.DependsOn, e.Service)
	}
	return b.String() + "}\n"
}

// The drawing has a column for each wave.
const (
	boxHeight, gapX, gapY, margin, charWidth = 34, 70, 16, 20, 8
)

type box struct{ x, y, width int }

func (b box) left() string  { return fmt.Sprintf("%d %d", b.x, b.y+boxHeight/2) }
func (b box) right() string { return fmt.Sprintf("%d %d", b.x+b.width, b.y+boxHeight/2) }

// drawSVG draws the services in a column for each wave, with a line from each
// to those that depend on it. Names are DNS labels: nothing needs escaping.
func drawSVG(v graphView) string {
	boxes, width, height := layOut(v.Waves)
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="14">`+"\n", width, height)
	for _, e := range v.Edges {
		from, to := boxes[e.DependsOn], boxes[e.Service]
		middle := (from.x + from.width + to.x) / 2
		fmt.Fprintf(&b, `<path d="M %s C %d %d, %d %d, %s" fill="none" stroke="#888"/>`+"\n", from.right(),
			middle, from.y+boxHeight/2, middle, to.y+boxHeight/2, to.left())
	}
	for _, wave := range v.Waves {
		for _, name := range wave {
			x := boxes[name]
			fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%d" height="%d" rx="6" fill="#eef4fb" stroke="#36c"/>`, x.x, x.y, x.width, boxHeight)
			fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="middle">%s</text>`+"\n", x.x+x.width/2, x.y+boxHeight/2+5, name)
		}
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func layOut(waves [][]rings.ServiceName) (boxes map[rings.ServiceName]box, width, height int) {
	boxes = map[rings.ServiceName]box{}
	x, tallest := margin, 0
	for _, wave := range waves {
		tallest = max(tallest, len(wave))
		widest := 0
		for _, name := range wave {
			widest = max(widest, len(name)*charWidth+2*margin)
		}
		for i, name := range wave {
			boxes[name] = box{x, margin + i*(boxHeight+gapY), widest}
		}
		x += widest + gapX
	}
	return boxes, max(x-gapX, margin) + margin, tallest*(boxHeight+gapY) + 2*margin
}
