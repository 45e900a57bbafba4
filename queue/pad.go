package queue

// pad keeps what lies before it and what lies behind it on different cache lines.
// Processors fetch lines of 64 bytes in pairs, and some have lines of 128.
type pad [128]byte
