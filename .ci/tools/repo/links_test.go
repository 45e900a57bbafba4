package main

import (
	"slices"
	"testing"
)

func TestLinksIn(t *testing.T) {
	page := withoutFences("[a](one.md) ![b](<two.png>) [c](three.md \"title\") [d](https://example.org) [e](mailto:x@y.z)\n" +
		"`[code](not.md)` [f](//host/x) <a href=\"four.md\">g</a> <IMG SRC=\"five.png\">\n" +
		"```go\n[h](not.md)\n``` not the end\n```\n~~~~\n[i](not.md)\n~~~\n[j](not.md)\n~~~~\n[k](#part)\n" +
		"> ```\n> [l](not.md)\n> ```\n[label]: six.md\n[^note]: seven words\n")
	want := []string{"one.md", "two.png", "three.md", "#part", "six.md", "seven", "four.md", "five.png"}
	if got := linksIn(page); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestBrokenLink(t *testing.T) {
	files := []string{"LICENSE", "README.md", "docs/guide.md", "docs/sub/x.go"}
	pages := map[string]string{"README.md": "# Title\n## Why & how?\n## Same\n## Same\n<a name=\"here\"></a>\n", "docs/guide.md": "# Guide\n"}
	for _, tt := range []struct{ link, want string }{
		{"../README.md", ""},
		{"../README.md#why--how", ""},
		{"../README.md#same-1", ""},
		{"../README.md#here", ""},
		{"../README.md#same-2", "no such heading"},
		{"#guide", ""},
		{"#title", "no such heading"},
		{"/LICENSE", ""},
		{"/", ""},
		{"..", ""},
		{"sub", ""},
		{"sub/", ""},
		{"sub/x.go#L3", ""},
		{"su", "no such file"},
		{"Guide.md", "no such file"},
		{"../../issues", "leads out of the repository"},
		{"%zz", "not a valid link"},
	} {
		if got := brokenLink("docs/guide.md", tt.link, files, pages); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.link, got, tt.want)
		}
	}
}

func TestSlugOf(t *testing.T) {
	for text, want := range map[string]string{
		"A task's journey":         "a-tasks-journey",
		"`Future[T]`: the _basics": "futuret-the-_basics",
		"See [core](core/) now":    "see-core-now",
		"[0.1.0] - 2026-01-02":     "010---2026-01-02",
		"Größe, 大きさ":               "größe-大きさ",
	} {
		if got := slugOf(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}
