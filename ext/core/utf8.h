/*
** UTF-8, strictly: no overlong forms, no surrogates, nothing above U+10FFFF.
**
** Source: RFC 3629; the Unicode Standard, table 3-7.
*/
#ifndef HF_CORE_UTF8_H
#define HF_CORE_UTF8_H

#include <stddef.h>
#include <stdint.h>

#define HF_UTF8_WRONG UINT32_MAX

/* The character at *at, which is less than size and moves behind it;
** HF_UTF8_WRONG for what is none. */
uint32_t hf_utf8_next(const char *text, size_t size, size_t *at);

/* Is all of it UTF-8? */
int hf_utf8_is(const char *text, size_t size);

#endif
