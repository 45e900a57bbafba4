//go:build goman_points

#include "textflag.h"

// func wordOfG(offset uintptr) uint64
TEXT ·wordOfG(SB), NOSPLIT, $0-16
	MOVQ TLS, CX
	MOVQ 0(CX)(TLS*1), AX
	ADDQ offset+0(FP), AX
	MOVQ (AX), AX
	MOVQ AX, ret+8(FP)
	RET
