package main

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// most is how many of the largest files, the commonest extensions and the
// undone are shown.
const most = 10

// report is the result as it is shown. A file or directory under Errors counts
// in no other number.
type report struct {
	Dir            string         `json:"dir"`
	Workers        int            `json:"workers"`
	Files          int            `json:"files"`
	Directories    int            `json:"directories"`
	Bytes          int64          `json:"bytes"`
	Lines          int64          `json:"lines"`
	TreeSHA256     string         `json:"tree_sha256"`
	DuplicateFiles int            `json:"duplicate_files"`
	DuplicateBytes int64          `json:"duplicate_bytes"`
	Links          int            `json:"links"`
	LinkRings      []string       `json:"link_rings"`
	Skipped        int            `json:"skipped"`
	Errors         []problem      `json:"errors"`
	Largest        []sized        `json:"largest"`
	Extensions     map[string]int `json:"extensions"`
	Interrupted    bool           `json:"interrupted"`
	Undone         int            `json:"undone"`
	UndoneNames    []string       `json:"undone_names"`
	Seconds        float64        `json:"seconds"`
	Compare        []timing       `json:"compare,omitempty"`
}

// sized is a file with its size.
type sized struct {
	Path  string `json:"path"`
	Bytes int64  `json:"bytes"`
}

// newReport puts a summary in order; the same tree gives the same report
// however many workers walked it.
func newReport(sum summary, took time.Duration) *report {
	byPath := func(a, b file) int { return strings.Compare(a.path, b.path) }
	slices.SortFunc(sum.files, byPath)
	slices.SortFunc(sum.errors, func(a, b problem) int {
		return cmp.Or(strings.Compare(a.Path, b.Path), strings.Compare(a.Error, b.Error))
	})
	slices.Sort(sum.rings)
	slices.Sort(sum.undone)

	r := &report{
		Files:       len(sum.files),
		Directories: sum.directories,
		TreeSHA256:  digest(sum.files),
		Links:       sum.links,
		LinkRings:   texts(sum.rings),
		Skipped:     sum.skipped,
		Errors:      make([]problem, 0, len(sum.errors)),
		Largest:     []sized{},
		Extensions:  map[string]int{},
		Interrupted: len(sum.undone) > 0,
		Undone:      len(sum.undone),
		UndoneNames: texts(sum.undone[:min(most, len(sum.undone))]),
		Seconds:     took.Seconds(),
	}
	for _, p := range sum.errors {
		r.Errors = append(r.Errors, problem{text(p.Path), p.Error})
	}
	first := map[[sha256.Size]byte]bool{}
	for _, f := range sum.files {
		r.Bytes += f.bytes
		r.Lines += f.lines
		r.Extensions[text(path.Ext(f.path))]++
		if f.bytes > 0 && first[f.sum] {
			r.DuplicateFiles++
			r.DuplicateBytes += f.bytes
		}
		first[f.sum] = true
	}
	slices.SortFunc(sum.files, func(a, b file) int {
		return cmp.Or(cmp.Compare(b.bytes, a.bytes), byPath(a, b))
	})
	for _, f := range sum.files[:min(most, len(sum.files))] {
		r.Largest = append(r.Largest, sized{text(f.path), f.bytes})
	}
	return r
}

// good reports whether everything was read, and alike each time.
func (r *report) good() bool {
	return len(r.Errors) == 0 && !r.Interrupted &&
		!slices.ContainsFunc(r.Compare, func(t timing) bool { return !t.Same })
}

// digest is the SHA-256 of what sha256sum prints for the files, which are in
// the order of their paths. Like sha256sum it escapes a path that would not
// stay on its line, and marks the line with a backslash.
func digest(files []file) string {
	escape := strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`)
	lines := sha256.New()
	for _, f := range files {
		escaped, mark := escape.Replace(f.path), ""
		if escaped != f.path {
			mark = `\`
		}
		fmt.Fprintf(lines, "%s%x  %s\n", mark, f.sum, escaped)
	}
	return hex.EncodeToString(lines.Sum(nil))
}

// text returns a name as text: in the place of bytes that are no UTF-8 there is
// their number, \xff for instance.
func text(name string) string {
	if utf8.ValidString(name) {
		return name
	}
	var b strings.Builder
	for len(name) > 0 {
		r, n := utf8.DecodeRuneInString(name)
		if r == utf8.RuneError && n == 1 {
			fmt.Fprintf(&b, `\x%02x`, name[0])
		} else {
			b.WriteString(name[:n])
		}
		name = name[n:]
	}
	return b.String()
}

func texts(names []string) []string {
	out := make([]string, 0, len(names))
	for _, name := range names {
		out = append(out, text(name))
	}
	return out
}

// writeJSON writes the report for machines.
func (r *report) writeJSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}

// writeText writes the report for people, in one write.
func (r *report) writeText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", printable(r.Dir))
	if r.Interrupted {
		fmt.Fprintf(&b, "INTERRUPTED: this is a part of the tree only\n")
	}
	row := func(label, value, note string) {
		fmt.Fprintln(&b, strings.TrimRight(fmt.Sprintf("  %-11s %16s  %s", label, value, note), " "))
	}
	fmt.Fprintln(&b)
	row("files", count(r.Files), "in "+plural(r.Directories, "directory", "directories"))
	row("bytes", count(r.Bytes), "")
	row("lines", count(r.Lines), "")
	row("duplicates", count(r.DuplicateFiles), "wasting "+plural(r.DuplicateBytes, "byte", "bytes"))
	row("links", count(r.Links), "not followed")
	if r.Skipped > 0 {
		row("skipped", count(r.Skipped), "neither files nor directories nor links")
	}
	row("errors", count(len(r.Errors)), "")
	if r.Interrupted {
		row("undone", count(r.Undone), "known, but not read; what is below them is not known")
	}
	fmt.Fprintf(&b, "\n  sha256  %s\n", r.TreeSHA256)

	r.writeLists(&b)
	if r.Seconds > 0 {
		fmt.Fprintf(&b, "\n  read in %.3f s by %s: %s files/s, %s/s\n", r.Seconds, plural(r.Workers, "worker", "workers"),
			count(int64(float64(r.Files)/r.Seconds)), mebibytes(int64(float64(r.Bytes)/r.Seconds)))
	}
	writeTimings(&b, r.Compare)
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *report) writeLists(b *strings.Builder) {
	list := func(title string, lines []string, total int) {
		if len(lines) == 0 {
			return
		}
		fmt.Fprintf(b, "\n  %s\n", title)
		for _, line := range lines {
			fmt.Fprintf(b, "  %s\n", line)
		}
		if more := total - len(lines); more > 0 {
			fmt.Fprintf(b, "  %16s  and %s more\n", "...", count(more))
		}
	}
	var lines []string
	for _, f := range r.Largest {
		lines = append(lines, fmt.Sprintf("%16s  %s", count(f.Bytes), printable(f.Path)))
	}
	list("largest files", lines, len(lines))

	names := slices.SortedFunc(maps.Keys(r.Extensions), func(a, b string) int {
		return cmp.Or(cmp.Compare(r.Extensions[b], r.Extensions[a]), strings.Compare(a, b))
	})
	lines = nil
	for _, name := range names[:min(most, len(names))] {
		shown := printable(name)
		if name == "" {
			shown = "(none)"
		}
		lines = append(lines, fmt.Sprintf("%16s  %s", count(r.Extensions[name]), shown))
	}
	list("files by extension", lines, len(names))

	lines = nil
	for _, p := range r.Errors[:min(2*most, len(r.Errors))] {
		lines = append(lines, fmt.Sprintf("  %s: %s", printable(p.Path), p.Error))
	}
	list("errors", lines, len(r.Errors))
	lines = nil
	for _, name := range r.LinkRings[:min(most, len(r.LinkRings))] {
		lines = append(lines, "  "+printable(name))
	}
	list("links in a ring", lines, len(r.LinkRings))
	lines = nil
	for _, name := range r.UndoneNames {
		lines = append(lines, "  "+printable(name))
	}
	list("undone", lines, r.Undone)
}

// printable returns a name that a terminal shows as it is.
func printable(name string) string {
	if strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(name)
	}
	return name
}

// count writes a number with a comma between thousands.
func count[N int | int64](n N) string {
	digits := strconv.FormatInt(int64(n), 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

func plural[N int | int64](n N, one, many string) string {
	if n == 1 {
		many = one
	}
	return count(n) + " " + many
}

func mebibytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }
