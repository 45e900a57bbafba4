package point

import "testing"

func TestSite_NamesAreThereAndDiffer(t *testing.T) {
	seen := map[string]Site{}
	for s := range sites {
		name := s.String()
		if other, double := seen[name]; name == "" || double {
			t.Errorf("site %d is called %q, as is %d", s, name, other)
		}
		seen[name] = s
	}
	if got := sites.String(); got != "unknown" {
		t.Errorf("past the last: %q", got)
	}
}
