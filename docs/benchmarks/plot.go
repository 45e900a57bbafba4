package main

import (
	"bytes"
	"fmt"
	"image/color"
	"math"
	"os"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	_ "gonum.org/v1/plot/vg/vgsvg" // the format
)

// A theme is the colours of a plot.
type theme struct {
	name         string
	ground, text color.Color
	lines        []color.Color
}

func rgb(v uint32) color.Color {
	return color.NRGBA{R: uint8(v >> 16), G: uint8(v >> 8), B: uint8(v), A: 255}
}

// The colours of lines are Okabe and Ito's, which can be told apart by all.
var (
	light = theme{"light", rgb(0xffffff), rgb(0x24292f),
		[]color.Color{rgb(0xd55e00), rgb(0x0072b2), rgb(0x009e73), rgb(0xcc79a7), rgb(0x8c6d00), rgb(0x56b4e9), rgb(0x666666), rgb(0x7b3fa0)}}
	dark = theme{"dark", rgb(0x0d1117), rgb(0xc9d1d9),
		[]color.Color{rgb(0xff8c42), rgb(0x4aa8e0), rgb(0x2fc79a), rgb(0xe39ac4), rgb(0xe6c84c), rgb(0x9ad4f5), rgb(0xa0a0a0), rgb(0xb58be0)}}
	themes = []theme{light, dark}
)

// A series is one line of a plot.
type series struct {
	name   string
	points plotter.XYs
}

// A chart is one plot, with logarithmic axes.
type chart struct {
	name, title, about, x, y string
	names                    []string // of the places on the x axis, if they are no numbers
	series                   []series
}

func (c chart) file(t theme) string { return c.name + "-" + t.name + ".svg" }

// plots are the overview, and a curve for each quantity of which there is one.
func (p page) plots() (list []chart) {
	if c := p.overview(); len(c.names) > 1 {
		list = append(list, c)
	}
	var names []string
	for _, w := range p.list {
		if w.curve != "" && !slices.Contains(names, w.curve) {
			names = append(names, w.curve)
		}
	}
	for _, name := range names {
		if c := p.curve(name); len(c.series) > 0 {
			list = append(list, c)
		}
	}
	return list
}

// overview has a place for each workload that is no point of a curve: goman's best and the
// best other, as ratios to the baseline.
func (p page) overview() chart {
	c := chart{
		name: "overview", title: "Overview", y: "ratio to the baseline",
		about:  "For each workload the best of goman and the best of the others that is no limit, as ratios to the baseline; lower is better.",
		series: []series{{name: "goman"}, {name: "best other"}},
	}
	for _, w := range p.list {
		if w.curve != "" || strings.HasPrefix(w.id, "idle") {
			continue
		}
		goman := p.results.best(w, isGoman)
		other := p.results.best(w, func(name string) bool { return !isGoman(name) && !isLimit(name) })
		g, ok := p.results.ratio(w.id, w.figure, goman, w.base)
		o, oko := p.results.ratio(w.id, w.figure, other, w.base)
		if !ok || !oko || g <= 0 || o <= 0 {
			continue
		}
		x := float64(len(c.names))
		c.names = append(c.names, w.id)
		c.series[0].points = append(c.series[0].points, plotter.XY{X: x, Y: g})
		c.series[1].points = append(c.series[1].points, plotter.XY{X: x, Y: o})
	}
	return c
}

// titles are those of the curves, and what is on the x axis.
var titles = map[string][2]string{
	"W9":        {"Queues by the number of producers and consumers", "producers and as many consumers"},
	"W10":       {"Queues by priority by their depth", "items in the queue"},
	"queued":    {"Cost of a task by the number of queued tasks", "queued tasks"},
	"workers":   {"Cost of a task by the number of workers", "workers"},
	"producers": {"Cost of a task by the number of producers", "producers"},
	"keys":      {"Cost of a task by the number of keys", "keys"},
}

// curve has a line for each contender of the workloads of that name that has at least two
// points.
func (p page) curve(name string) chart {
	c := chart{name: strings.ToLower(name), title: titles[name][0], x: titles[name][1], y: "ns"}
	var order []string
	points := make(map[string]plotter.XYs)
	for _, w := range p.list {
		if w.curve != name {
			continue
		}
		c.about = fmt.Sprintf("%s; both axes are logarithmic, lower is better.", w.unit)
		for _, who := range w.who {
			s, ok := p.results[w.id][who.name].of(w.figure)
			if !ok || s.median <= 0 {
				continue
			}
			if points[who.name] == nil {
				order = append(order, who.name)
			}
			points[who.name] = append(points[who.name], plotter.XY{X: w.at, Y: s.median})
		}
	}
	for _, who := range order {
		if len(points[who]) > 1 {
			c.series = append(c.series, series{who, points[who]})
		}
	}
	return c
}

// empty is a plot without data, in the colours of the theme.
func (t theme) empty() *plot.Plot {
	p := plot.New()
	p.BackgroundColor = t.ground
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Color, axis.Tick.Color = t.text, t.text
		for _, style := range []*text.Style{&axis.Label.TextStyle, &axis.Tick.Label} {
			style.Color, style.Font.Variant = t.text, "Sans"
		}
	}
	p.Legend.TextStyle.Color, p.Legend.TextStyle.Font.Variant, p.Legend.Top = t.text, "Sans", true
	r, g, b, _ := t.text.RGBA()
	faint := color.NRGBA{uint8(r >> 8), uint8(g >> 8), uint8(b >> 8), 40}
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = faint, faint
	p.Add(grid)
	return p
}

// save writes the chart in a theme.
func (c chart) save(t theme, file string) error {
	p := t.empty()
	p.X.Label.Text, p.Y.Label.Text = c.x, c.y
	for i, s := range c.series {
		line, points, err := plotter.NewLinePoints(s.points)
		if err != nil {
			return fmt.Errorf("%s, %s: %w", c.name, s.name, err)
		}
		line.Color, line.Width = t.lines[i%len(t.lines)], vg.Points(1.2)
		if isGoman(s.name) {
			line.Width = vg.Points(2.4)
		}
		points.Color, points.Shape = line.Color, shapes[i%len(shapes)]
		if i >= len(t.lines) {
			line.Dashes = []vg.Length{vg.Points(4), vg.Points(3)}
		}
		if c.names == nil {
			p.Add(line, points)
			p.Legend.Add(s.name, line, points)
		} else {
			p.Add(points)
			p.Legend.Add(s.name, points)
		}
	}
	p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, plot.TickerFunc(decades)
	p.Y.Min, p.Y.Max = p.Y.Min/1.3, p.Y.Max*1.3
	if c.names == nil {
		last := p.X.Max
		p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, plot.TickerFunc(func(low, _ float64) []plot.Tick { return decades(low, last) })
		p.X.Max *= math.Pow(p.X.Max/p.X.Min, 0.35) // room for the names
	} else {
		p.NominalX(c.names...)
		p.X.Max += float64(len(c.names)) / 6
		p.X.Tick.Label.Rotation, p.X.Tick.Label.XAlign, p.X.Tick.Label.YAlign = math.Pi/4, draw.XRight, draw.YCenter
	}
	image, err := p.WriterTo(9*vg.Inch, 4.5*vg.Inch, "svg")
	if err != nil {
		return fmt.Errorf("%s: %w", c.name, err)
	}
	var data bytes.Buffer
	if _, err := image.WriteTo(&data); err != nil {
		return err
	}
	// A reader's machine may not have the font.
	svg := bytes.ReplaceAll(data.Bytes(), []byte("font-family:Liberation Sans"), []byte("font-family:Liberation Sans,Arial,sans-serif"))
	return os.WriteFile(file, svg, 0o644)
}

// shapes tell lines apart without their colours.
var shapes = []draw.GlyphDrawer{
	draw.CircleGlyph{}, draw.SquareGlyph{}, draw.TriangleGlyph{}, draw.PlusGlyph{}, draw.CrossGlyph{}, draw.RingGlyph{}, draw.BoxGlyph{}, draw.PyramidGlyph{},
}

// decades are ticks at 1, 2 and 5 times the powers of ten.
func decades(low, high float64) (ticks []plot.Tick) {
	for power := math.Floor(math.Log10(low)); power <= math.Ceil(math.Log10(high)); power++ {
		for _, times := range []float64{1, 2, 5} {
			v := times * math.Pow(10, power)
			if v < low || v > high {
				continue
			}
			tick := plot.Tick{Value: v}
			if times == 1 || high/low < 1000 {
				tick.Label = number(v)
			}
			ticks = append(ticks, tick)
		}
	}
	return ticks
}
