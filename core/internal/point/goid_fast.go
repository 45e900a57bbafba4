//go:build goman_points && (amd64 || arm64)

package point

// wordOfG reads a word of the runtime's description of the calling goroutine.
func wordOfG(offset uintptr) uint64
