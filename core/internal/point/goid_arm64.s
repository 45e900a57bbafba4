//go:build goman_points

#include "textflag.h"

// func wordOfG(offset uintptr) uint64
TEXT ·wordOfG(SB), NOSPLIT, $0-16
	MOVD offset+0(FP), R0
	ADD g, R0, R0
	MOVD (R0), R0
	MOVD R0, ret+8(FP)
	RET
