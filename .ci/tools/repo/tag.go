package main

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// runTag is the command 'tag'.
func runTag(ctx context.Context, a *app, args []string) error {
	flags := flag.NewFlagSet("tag", flag.ContinueOnError)
	yes := flags.Bool("yes", false, "set the tags; without it they are only printed")
	if _, err := a.parseFlags(flags, args, 0); err != nil {
		return err
	}
	pending, err := a.pending(ctx)
	if err != nil {
		return err
	}
	if len(pending) == 0 {
		a.printf("tag: every planned version is tagged already\n")
		return nil
	}
	if err := a.gate(ctx, pending); err != nil {
		a.printf("tag: the gate is closed, no tag was set\n")
		return err
	}
	id, _, err := a.repo.commit(ctx, "HEAD")
	if err != nil {
		return err
	}
	var tags []string
	for _, m := range pending {
		tags = append(tags, m.Tag())
		if !*yes {
			a.printf("tag: would set %s at %s\n", m.Tag(), id)
			continue
		}
		if _, err := a.repo.git(ctx, "tag", "--annotate", "--message", m.Dir+" "+m.Version, m.Tag(), "HEAD"); err != nil {
			return err
		}
		a.printf("tag: %s set at %s\n", m.Tag(), id)
	}
	if *yes {
		a.printf("tag: publish all of them at once:\n\n\tgit push --atomic origin %s\n\n", strings.Join(tags, " "))
	}
	return nil
}

// pending returns the modules whose planned version has no tag yet. It also
// names those that have changed since their tag and will not be released.
func (a *app) pending(ctx context.Context) ([]*Module, error) {
	var pending []*Module
	for _, m := range a.repo.Modules {
		tagged, err := a.repo.versionsOf(ctx, m.Dir)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(tagged, m.Version) {
			pending = append(pending, m)
			continue
		}
		changed, err := a.repo.changed(ctx, "refs/tags/"+m.Tag(), m)
		if err != nil {
			return nil, err
		}
		if changed {
			a.printf("tag: %s has changed since %s, but no new version of it is planned\n", m.Dir, m.Tag())
		}
	}
	return pending, nil
}

// gate refuses a release that users could not build, or that would surprise
// them. A tag that was published can never be moved, so this comes first.
func (a *app) gate(ctx context.Context, pending []*Module) error {
	dirty, err := a.repo.dirty(ctx)
	if err != nil {
		return err
	}
	if dirty {
		a.printf("tag: the work tree has changes that are not committed\n")
		return errFound
	}
	if err := runCheck(ctx, a, nil); err != nil {
		return err
	}
	if err := a.changelogs(pending); err != nil {
		return err
	}
	if err := a.apidiff(ctx); err != nil {
		return err
	}
	proxy, err := a.repo.goEnv(ctx, "GOPROXY")
	if err != nil {
		return err
	}
	return a.outside(ctx, proxy, true)
}

// changelogs wants each module's CHANGELOG to have a dated section for the
// version that is to be released.
func (a *app) changelogs(pending []*Module) error {
	missing := false
	for _, m := range pending {
		data, err := os.ReadFile(filepath.Join(a.repo.Root, filepath.FromSlash(m.Dir), "CHANGELOG.md"))
		if err != nil {
			return err
		}
		number := strings.TrimPrefix(m.Version, "v")
		section := regexp.MustCompile(`(?m)^## \[` + regexp.QuoteMeta(number) + `\] - \d{4}-\d{2}-\d{2}\s*$`)
		if !section.Match(data) {
			a.printf("tag: %s/CHANGELOG.md has no line '## [%s] - YYYY-MM-DD'\n", m.Dir, number)
			missing = true
		}
	}
	if missing {
		return errFound
	}
	return nil
}
