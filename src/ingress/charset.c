/* SPDX-License-Identifier: MIT */
#include "ingress/charset.h"

/* clang-format off */
#define TOKEN CHARSET_TOKEN
#define VALUE CHARSET_VALUE
#define MARK (VALUE | CHARSET_TARGET)
#define ALNUM (TOKEN | MARK)
#define X4(v) v, v, v, v
#define X16(v) X4(v), X4(v), X4(v), X4(v)
const unsigned char charset[256] = {
	0, 0, 0, 0, 0, 0, 0, 0, 0, VALUE, 0, 0, 0, 0, 0, 0,
	X16(0),
	/*   ! " # $ % & ' ( ) * + , - . / */
	VALUE, ALNUM, MARK, VALUE | TOKEN, ALNUM, ALNUM, ALNUM, ALNUM,
	MARK, MARK, ALNUM, ALNUM, MARK, ALNUM, ALNUM, MARK,
	/* 0-9 : ; < = > ? */
	ALNUM, ALNUM, ALNUM, ALNUM, ALNUM, ALNUM, ALNUM, ALNUM,
	ALNUM, ALNUM, MARK, MARK, MARK, MARK, MARK, MARK,
	/* @ A-Z [ \ ] ^ _ */
	MARK, ALNUM, ALNUM, ALNUM, X4(ALNUM), X16(ALNUM),
	ALNUM, ALNUM, ALNUM, MARK, MARK, MARK, ALNUM, ALNUM,
	/* ` a-z { | } ~ DEL */
	ALNUM, ALNUM, ALNUM, ALNUM, X4(ALNUM), X16(ALNUM),
	ALNUM, ALNUM, ALNUM, MARK, ALNUM, MARK, ALNUM, 0,
	X16(VALUE), X16(VALUE), X16(VALUE), X16(VALUE),
	X16(VALUE), X16(VALUE), X16(VALUE), X16(VALUE),
};
/* clang-format on */
