//go:build !goman_points

package point

// At marks a synchronisation step. It is nothing in this build.
func At() {}
