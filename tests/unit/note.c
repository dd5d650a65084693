/*
** Base64 against RFC 4648 and against itself; names and texts of notes.
*/
#include "core/note.h"

#include <string.h>

#include "check.h"
#include "core/base64.h"

/* RFC 4648, section 10. */
static void test_base64_vectors(void) {
  static const char *const vector[][2] = {{"", ""},
                                          {"f", "Zg=="},
                                          {"fo", "Zm8="},
                                          {"foo", "Zm9v"},
                                          {"foob", "Zm9vYg=="},
                                          {"fooba", "Zm9vYmE="},
                                          {"foobar", "Zm9vYmFy"}};
  char text[16];
  unsigned char data[16];
  size_t i, n;
  for (i = 0; i < sizeof(vector) / sizeof(*vector); i++) {
    n = strlen(vector[i][0]);
    hf_base64_encode((const unsigned char *)vector[i][0], n, text);
    CHECK_EQ_STR(text, vector[i][1]);
    CHECK_EQ_INT(strlen(text), hf_base64_size(n));
    CHECK(hf_base64_decode(vector[i][1], strlen(vector[i][1]), data, &n));
    CHECK_EQ_MEM(data, vector[i][0], strlen(vector[i][0]));
    CHECK_EQ_INT(n, strlen(vector[i][0]));
  }
}

/* What is accepted is what would be written: all ends of a text. */
static void test_base64_is_strict(void) {
  static const char some[] = "AQgwBZaz05+/=-_ \n";
  size_t a, b, c, d, n, good = 0;
  for (a = 0; a < sizeof(some); a++) {
    for (b = 0; b < sizeof(some); b++) {
      for (c = 0; c < sizeof(some); c++) {
        for (d = 0; d < sizeof(some); d++) {
          const char text[4] = {some[a], some[b], some[c], some[d]};
          unsigned char data[3];
          char again[5];
          if (!hf_base64_decode(text, 4, data, &n)) continue;
          hf_base64_encode(data, n, again);
          CHECK_EQ_MEM(again, text, 4);
          good++;
        }
      }
    }
  }
  /* 12 digits: three of them, or two and one of the 3 whose last two bits are
  ** zero, or one and one of the 4 whose last four are. */
  CHECK(good > 12UL * 12 * 12 * 12);
  CHECK(!hf_base64_decode("A", 1, NULL, &n));
  CHECK(!hf_base64_decode("AAA", 3, NULL, &n));
}

static void test_names(void) {
  CHECK(hf_note_is_name("a", 1));
  CHECK(hf_note_is_name("example.com/log", 15));
  CHECK(!hf_note_is_name("", 0));
  CHECK(!hf_note_is_name("a\0", 2));
  CHECK(!hf_note_is_name("a+", 2));
  CHECK(!hf_note_is_name("\xc3", 1));
  CHECK(!hf_note_is_name("\xe2\x80", 2));
  CHECK(!hf_note_is_name("\xf0\x9f\x94", 3));
  CHECK(hf_note_is_name("\xf0\x9f\x94\x92", 4));
  CHECK(!hf_note_is_name("\xf8\x88\x80\x80\x80", 5));
  CHECK(hf_note_is_text("\n", 1));
  CHECK(!hf_note_is_text("", 0));
  CHECK(!hf_note_is_text("a", 1));
  CHECK(!hf_note_is_text("\xe2\x80\n", 3));
}

int main(void) {
  test_base64_vectors();
  test_base64_is_strict();
  test_names();
  return check_summary("note");
}
