//go:build goman_points

package point

import "runtime"

// Who calls? The runtime tells only in the head of a stack, and writes the whole
// stack for it: that took four fifths of a schedule's time. So the place at which
// it keeps a goroutine's number is looked for once, and read from then on; if it
// is not found, or on other processors, the slow way is taken.

// goidOffset is that place, or 0.
var goidOffset = findOffset()

// goroutineNumber returns the number of the calling goroutine.
func goroutineNumber() uint64 {
	if goidOffset != 0 {
		return wordOfG(goidOffset)
	}
	number, _ := whoami()
	return number
}

// findOffset looks for a place that holds the right number in each of some
// goroutines. The runtime's description is much longer than what is read.
func findOffset() uintptr {
	const words, goroutines = 32, 8
	type look struct {
		number uint64
		words  [words]uint64
	}
	looks := make(chan look)
	var fits [words]int
	for range goroutines {
		go func() {
			var l look
			l.number, _ = whoami()
			for i := range l.words {
				l.words[i] = wordOfG(uintptr(i) * 8)
			}
			looks <- l
		}()
		l := <-looks
		for i, word := range l.words {
			if word == l.number {
				fits[i]++
			}
		}
	}
	found := uintptr(0)
	for i, n := range fits {
		if n == goroutines {
			if found != 0 {
				return 0 // two places: neither is to be trusted
			}
			found = uintptr(i) * 8
		}
	}
	return found
}

// whoami returns the number of the calling goroutine and that of its bubble, or
// zero, from the head of its stack: "goroutine 7 [running, synctest bubble 5]:".
func whoami() (goroutine, bubble uint64) {
	var buffer [96]byte
	head := buffer[:runtime.Stack(buffer[:], false)]
	goroutine, rest := leadingNumber(head[len("goroutine "):])
	const mark = "bubble "
	for i := 0; i+len(mark) < len(rest) && rest[i] != '\n'; i++ {
		if string(rest[i:i+len(mark)]) == mark {
			bubble, _ = leadingNumber(rest[i+len(mark):])
			break
		}
	}
	return goroutine, bubble
}

func leadingNumber(text []byte) (n uint64, rest []byte) {
	for len(text) > 0 && text[0] >= '0' && text[0] <= '9' {
		n, text = n*10+uint64(text[0]-'0'), text[1:]
	}
	return n, text
}
