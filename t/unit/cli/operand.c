/* SPDX-License-Identifier: MIT */
#include "cli/operand.h"

#include <criterion/criterion.h>
#include <string.h>

#include "base/memory.h"

static const struct {
	const char *instruction; /* as objdump prints it */
	size_t width;
} cases[] = {
	{ "vmulss 0xe9e(%rip),%xmm0,%xmm0        ", 4 },
	{ "mulsd  0xe9e(%rip),%xmm0        ", 8 },
	{ "vucomiss 0xe9e(%rip),%xmm0        ", 4 },
	{ "vcmpltsd 0xe9e(%rip),%xmm0,%k0        ", 8 },
	{ "vfmadd132ss 0xe9e(%rip),%xmm1,%xmm0        ", 4 },
	{ "mulps  0xe9e(%rip),%xmm0        ", 16 },
	{ "vmulpd 0xe9e(%rip),%ymm0,%ymm0        ", 32 },
	{ "vmovaps 0xe9e(%rip),%zmm0        ", 64 },
	{ "vmovdqu8 0xe9e(%rip),%zmm0        ", 64 },
	{ "movdqa 0xe9e(%rip),%xmm0        ", 16 },
	{ "paddd  0xe9e(%rip),%xmm0        ", 16 },
	{ "vpabsd 0xe9e(%rip),%ymm0        ", 32 },
	{ "vpmaxsd 0xe9e(%rip),%ymm1,%ymm0        ", 32 },
	{ "vpermt2ps 0xe9e(%rip),%zmm1,%zmm0        ", 64 },
	{ "vpshufb 0xe9e(%rip),%ymm1,%ymm0        ", 32 },

	{ "vfmadd132ps 0xe9e(%rip){1to8},%ymm1,%ymm0        ", 4 },
	{ "vmulps 0xe9e(%rip){1to16},%zmm1,%zmm0        ", 4 },
	{ "vmulpd 0xe9e(%rip){1to2},%xmm1,%xmm0        ", 8 },
	{ "vpmuludq 0xe9e(%rip){1to8},%zmm1,%zmm0        ", 8 },
	{ "vpaddd 0xe9e(%rip){1to16},%zmm1,%zmm0        ", 4 },
	{ "vcmpltps 0xe9e(%rip){1to8},%ymm1,%k0        ", 4 },
	{ "vcvtpd2ps 0xe9e(%rip){1to8},%ymm0        ", 8 },
	{ "vcvtps2pd 0xe9e(%rip){1to8},%zmm0        ", 4 },
	{ "vcvttps2qq 0xe9e(%rip){1to8},%zmm0        ", 4 },
	{ "vaddps 0xe9e(%rip){1to16},%zmm1,%zmm0{%k1}{z}        ", 4 },
	{ "vbroadcastss 0xe9e(%rip),%ymm0        ", 4 },
	{ "vbroadcastsd 0xe9e(%rip),%zmm0        ", 8 },
	{ "vpbroadcastb 0xe9e(%rip),%ymm0        ", 1 },
	{ "vbroadcasti32x4 0xe9e(%rip),%zmm0        ", 16 },
	{ "vbroadcastf64x4 0xe9e(%rip),%zmm0        ", 32 },
	{ "vinserti128 $0x1,0xe9e(%rip),%ymm0,%ymm0        ", 16 },

	{ "vmovq  0xe9e(%rip),%xmm0        ", 8 },
	{ "movq   0xe9e(%rip),%xmm0        ", 8 },
	{ "vmovd  0xe9e(%rip),%xmm0        ", 4 },
	{ "movhps 0xe9e(%rip),%xmm0        ", 8 },
	{ "vmovlpd 0xe9e(%rip),%xmm1,%xmm0        ", 8 },
	{ "vmovddup 0xe9e(%rip),%xmm0        ", 8 },
	{ "vmovddup 0xe9e(%rip),%ymm0        ", 32 },
	{ "pinsrw $0x1,0xe9e(%rip),%xmm0        ", 2 },
	{ "vpinsrd $0x1,0xe9e(%rip),%xmm0,%xmm0        ", 4 },
	{ "vpmovzxbd 0xe9e(%rip),%ymm0        ", 8 },
	{ "vpmovsxwd 0xe9e(%rip),%zmm0        ", 32 },
	{ "pmovzxbq 0xe9e(%rip),%xmm0        ", 2 },
	{ "vcvtps2pd 0xe9e(%rip),%ymm0        ", 16 },
	{ "cvtps2pd 0xe9e(%rip),%xmm0        ", 8 },
	{ "vcvtph2ps 0xe9e(%rip),%ymm0        ", 16 },
	{ "vcvtdq2ps 0xe9e(%rip),%ymm0        ", 32 },
	{ "cvtsi2sdl 0xe9e(%rip),%xmm0        ", 4 },
	{ "vcvtsi2sdq 0xe9e(%rip),%xmm0,%xmm0        ", 8 },
	{ "cvttsd2si 0xe9e(%rip),%eax        ", 8 },
	{ "cvtss2sd 0xe9e(%rip),%xmm0        ", 4 },
	{ "vpslld 0xe9e(%rip),%ymm1,%ymm0        ", 16 },
	{ "vpsllvd 0xe9e(%rip),%ymm1,%ymm0        ", 32 },
	{ "vpslld $0x3,0xe9e(%rip),%ymm0        ", 32 },

	{ "movzbl 0xe9e(%rip),%eax        ", 1 },
	{ "movswl 0xe9e(%rip),%eax        ", 2 },
	{ "movslq 0xe9e(%rip),%rax        ", 4 },
	{ "cmpb   $0x0,0xe9e(%rip)        ", 1 },
	{ "cmpq   $0x0,0xe9e(%rip)        ", 8 },
	{ "cmp    %eax,0xe9e(%rip)        ", 4 },
	{ "mov    0xe9e(%rip),%rax        ", 8 },
	{ "mov    0xe9e(%rip),%r10d        ", 4 },
	{ "mov    0xe9e(%rip),%r10        ", 8 },
	{ "mov    0xe9e(%rip),%al        ", 1 },
	{ "sub    0xe9e(%rip),%ax        ", 2 },
	{ "imul   $0x3,0xe9e(%rip),%ecx        ", 4 },
	{ "sub    0xe9e(%rip),%ecx        ", 4 },
	{ "fldt   0xe9e(%rip)        ", 10 },

	{ "lea    0xe9e(%rip),%rax        ", 0 },
	{ "prefetcht0 0xe9e(%rip)        ", 0 },
	{ "vaddps 0xe9e(%rip),%zmm1,%zmm0{%k1}{z}        ", 0 },
	{ "vmaskmovps 0xe9e(%rip),%ymm1,%ymm0        ", 0 },
	{ "vpmaskmovd 0xe9e(%rip),%ymm1,%ymm0        ", 0 },
	{ "vcvtpd2psx 0xe9e(%rip),%xmm0        ", 0 },
	{ "lock incl 0xe9e(%rip)        ", 0 },
	{ "jmp    *0xe9e(%rip)        ", 0 },
	{ "", 0 },
};

Test(operand, width)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		cr_expect_eq(operand_width(cases[i].instruction, strlen(cases[i].instruction)), cases[i].width, "%s: %zu",
			     cases[i].instruction, operand_width(cases[i].instruction, strlen(cases[i].instruction)));
}
