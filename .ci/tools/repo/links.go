package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

var (
	// inlineLink matches the end of [text](target "title") and of images.
	inlineLink = regexp.MustCompile(`\]\(\s*<?([^)\s>]+)>?(?:\s+["'(][^)]*)?\)`)
	// linkDefinition matches [label]: target at the start of a line.
	linkDefinition = regexp.MustCompile(`(?m)^ {0,3}\[[^\]]+\]:\s*<?([^\s>]+)>?`)
	// htmlLink matches the links of HTML inside Markdown.
	htmlLink = regexp.MustCompile(`(?i)\b(?:href|src)="([^"]+)"`)
	// linkScheme matches links that leave the repository.
	linkScheme = regexp.MustCompile(`^(?i:[a-z][a-z0-9+.-]*:|//)`)
	// codeSpan matches code inside a line, in which nothing is a link.
	codeSpan = regexp.MustCompile("`+[^`\n]*`+")
	// heading matches a heading line and its text.
	heading = regexp.MustCompile(`(?m)^ {0,3}#{1,6}\s+(.*?)\s*#*\s*$`)
	// htmlAnchor matches a place named by hand.
	htmlAnchor = regexp.MustCompile(`(?i)<[a-z]+\s[^>]*\b(?:id|name)="([^"]+)"`)
	// linkText matches a whole inline link; its first group is the text.
	linkText = regexp.MustCompile(`!?\[([^\]]*)\]\([^)]*\)`)
)

// checkLinks wants the target of every relative link in Markdown to exist, and
// where it names a heading of a Markdown file, that heading as well.
func checkLinks(_ context.Context, r *Repo, files []string) ([]string, error) {
	pages := make(map[string]string)
	for _, name := range files {
		if path.Ext(name) != ".md" || slices.Contains(strings.Split(name, "/"), "testdata") {
			continue
		}
		data, err := os.ReadFile(filepath.Join(r.Root, filepath.FromSlash(name)))
		if err != nil {
			return nil, err
		}
		pages[name] = withoutFences(string(data))
	}
	var problems []string
	for _, name := range files {
		for _, link := range linksIn(pages[name]) {
			if why := brokenLink(name, link, files, pages); why != "" {
				problems = append(problems, fmt.Sprintf("%s: link to %s: %s", name, link, why))
			}
		}
	}
	return problems, nil
}

// withoutFences returns the page with the lines of fenced code blocks emptied.
func withoutFences(page string) string {
	lines := strings.Split(page, "\n")
	fence := ""
	for i, line := range lines {
		text := strings.TrimLeft(line, " \t>")
		switch {
		case fence != "":
			if strings.HasPrefix(text, fence) && strings.Trim(text, fence[:1]+" \t\r") == "" {
				fence = ""
			}
			lines[i] = ""
		case strings.HasPrefix(text, "```"), strings.HasPrefix(text, "~~~"):
			fence = text[:len(text)-len(strings.TrimLeft(text, text[:1]))]
			lines[i] = ""
		}
	}
	return strings.Join(lines, "\n")
}

// linksIn returns the targets of the links of a page that stay inside the
// repository.
func linksIn(page string) []string {
	page = codeSpan.ReplaceAllString(page, "")
	var links []string
	for _, form := range []*regexp.Regexp{inlineLink, linkDefinition, htmlLink} {
		for _, match := range form.FindAllStringSubmatch(page, -1) {
			if link := match[1]; !linkScheme.MatchString(link) && !strings.HasPrefix(link, "^") {
				links = append(links, link)
			}
		}
	}
	return links
}

// brokenLink says what is wrong with a link on the page called from, or
// returns "". A link that begins with a slash counts from the root.
func brokenLink(from, link string, files []string, pages map[string]string) string {
	u, err := url.Parse(link)
	if err != nil {
		return "not a valid link"
	}
	target := from
	if u.Path != "" {
		target = path.Join(path.Dir(from), u.Path)
		if strings.HasPrefix(u.Path, "/") {
			target = strings.TrimPrefix(path.Clean(u.Path), "/")
		}
	}
	switch {
	case target == ".." || strings.HasPrefix(target, "../"):
		return "leads out of the repository"
	case target == ".", target == "", isDirOf(target, files):
		return ""
	case !slices.Contains(files, target):
		return "no such file"
	}
	page, ok := pages[target]
	if u.Fragment == "" || !ok || slices.Contains(anchorsIn(page), u.Fragment) {
		return ""
	}
	return "no such heading"
}

// isDirOf reports whether one of the files is below dir.
func isDirOf(dir string, files []string) bool {
	return slices.ContainsFunc(files, func(name string) bool { return strings.HasPrefix(name, dir+"/") })
}

// anchorsIn returns the names by which links reach the headings of a page, as
// GitHub makes them, and the anchors written as HTML.
func anchorsIn(page string) []string {
	var anchors []string
	count := make(map[string]int)
	for _, match := range heading.FindAllStringSubmatch(page, -1) {
		slug := slugOf(match[1])
		if n := count[slug]; n > 0 {
			anchors = append(anchors, fmt.Sprintf("%s-%d", slug, n))
		} else {
			anchors = append(anchors, slug)
		}
		count[slug]++
	}
	for _, match := range htmlAnchor.FindAllStringSubmatch(page, -1) {
		anchors = append(anchors, match[1])
	}
	return anchors
}

// slugOf turns the text of a heading into the name of its anchor: lower case,
// spaces to hyphens, and of the other characters only letters and digits.
func slugOf(text string) string {
	text = linkText.ReplaceAllString(text, "$1")
	return strings.Map(func(c rune) rune {
		switch {
		case c == ' ':
			return '-'
		case c == '-', c == '_', isWord(c):
			return c
		}
		return -1
	}, strings.ToLower(strings.TrimSpace(text)))
}

// isWord reports whether c may stand in an anchor.
func isWord(c rune) bool { return unicode.IsLetter(c) || unicode.IsDigit(c) }
