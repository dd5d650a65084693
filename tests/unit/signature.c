/*
** Ed25519 and HMAC against the vectors of RFC 8032 and RFC 4231, and the keys
** and signatures that must not pass.
*/
#include "core/signature.h"

#include <string.h>

#include "check.h"

static size_t unhex(const char *hex, unsigned char *out) {
  size_t n = strlen(hex) / 2, i;
  for (i = 0; i < n; i++) {
    const char *digits = "0123456789abcdef";
    out[i] = (unsigned char)((strchr(digits, hex[2 * i]) - digits) << 4 |
                             (strchr(digits, hex[2 * i + 1]) - digits));
  }
  return n;
}

/* RFC 8032, section 7.1, tests 1 to 3. */
static void test_ed25519_vectors(void) {
  static const struct {
    const char *secret, *public_key, *message, *signature;
  } vector[] = {
      {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
       "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
       "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821"
       "590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"},
      {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
       "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
       "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e"
       "43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"},
      {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
       "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
       "af82",
       "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b5"
       "38d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"}};
  unsigned char secret[32], public_key[32], message[8], signature[64];
  size_t i, n;
  int good, bit;
  for (i = 0; i < sizeof(vector) / sizeof(*vector); i++) {
    unhex(vector[i].secret, secret);
    n = unhex(vector[i].message, message);
    CHECK(hf_ed25519_public(secret, public_key) == HF_OK);
    CHECK_EQ_HEX(public_key, 32, vector[i].public_key);
    CHECK(hf_ed25519_is_sound(public_key));
    CHECK(hf_ed25519_sign(secret, NULL, message, n, signature) == HF_OK);
    CHECK_EQ_HEX(signature, 64, vector[i].signature);
    CHECK(hf_ed25519_sign(secret, public_key, message, n, signature) == HF_OK);
    CHECK_EQ_HEX(signature, 64, vector[i].signature);
    CHECK(hf_ed25519_verify(public_key, signature, message, n, &good) == HF_OK);
    CHECK(good);
    for (bit = 0; bit < 512; bit += 7) {
      signature[bit / 8] ^= (unsigned char)(1 << bit % 8);
      hf_ed25519_verify(public_key, signature, message, n, &good);
      CHECK(!good);
      signature[bit / 8] ^= (unsigned char)(1 << bit % 8);
    }
    for (bit = 0; bit < 256; bit += 5) {
      public_key[bit / 8] ^= (unsigned char)(1 << bit % 8);
      hf_ed25519_verify(public_key, signature, message, n, &good);
      CHECK(!good);
      public_key[bit / 8] ^= (unsigned char)(1 << bit % 8);
    }
    message[0] ^= 1;
    hf_ed25519_verify(public_key, signature, message, n + (n == 0), &good);
    CHECK(!good);
  }
}

/* S + L for S, which is the same scalar: RFC 8032 has S < L. */
static void test_malleated(void) {
  unsigned char order[32], secret[32] = {7}, public_key[32], signature[64];
  int good, i, carry = 0;
  unhex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010",
        order);
  hf_ed25519_public(secret, public_key);
  hf_ed25519_sign(secret, NULL, "message", 7, signature);
  for (i = 0; i < 32; i++) {
    carry += signature[32 + i] + order[i];
    signature[32 + i] = (unsigned char)carry;
    carry >>= 8;
  }
  CHECK(hf_ed25519_verify(public_key, signature, "message", 7, &good) == HF_OK);
  CHECK(!good);
}

/* All encodings of points of small order, the non-canonical ones among them,
** and others at and above p. */
static void test_unsound_keys(void) {
  static const char *const key[] = {
      "0100000000000000000000000000000000000000000000000000000000000000",
      "0100000000000000000000000000000000000000000000000000000000000080",
      "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
      "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
      "0000000000000000000000000000000000000000000000000000000000000000",
      "0000000000000000000000000000000000000000000000000000000000000080",
      "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
      "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
      "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
      "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
      "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
      "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
      "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
      "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
      "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
      "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"};
  /* Just below p, and with a byte in the middle that is not 0xff. */
  static const char *const sound[] = {
      "ebffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
      "eefffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe7f",
      "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7e"};
  unsigned char public_key[32], signature[64] = {1};
  size_t i;
  int good;
  for (i = 0; i < sizeof(key) / sizeof(*key); i++) {
    unhex(key[i], public_key);
    CHECK(!hf_ed25519_is_sound(public_key));
    CHECK(hf_ed25519_verify(public_key, signature, "any", 3, &good) == HF_OK);
    CHECK(!good);
  }
  for (i = 0; i < sizeof(sound) / sizeof(*sound); i++) {
    unhex(sound[i], public_key);
    CHECK(hf_ed25519_is_sound(public_key));
  }
}

static void test_generate(void) {
  unsigned char secret[2][32], public_key[2][32], signature[64];
  int good;
  CHECK(hf_ed25519_generate(secret[0], public_key[0]) == HF_OK);
  CHECK(hf_ed25519_generate(secret[1], public_key[1]) == HF_OK);
  CHECK(memcmp(secret[0], secret[1], 32) != 0);
  hf_ed25519_sign(secret[0], NULL, "x", 1, signature);
  hf_ed25519_verify(public_key[0], signature, "x", 1, &good);
  CHECK(good);
  hf_ed25519_verify(public_key[1], signature, "x", 1, &good);
  CHECK(!good);
}

/* RFC 4231, test cases 1, 2 and 6. */
static void test_hmac(void) {
  unsigned char key[131], out[32];
  memset(key, 0x0b, 20);
  CHECK(hf_hmac_sha256(key, 20, "Hi There", 8, out) == HF_OK);
  CHECK_EQ_HEX(
      out, 32,
      "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  CHECK(hf_hmac_sha256("Jefe", 4, "what do ya want for nothing?", 28, out) ==
        HF_OK);
  CHECK_EQ_HEX(
      out, 32,
      "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  memset(key, 0xaa, 131);
  CHECK(hf_hmac_sha256(key, 131,
                       "Test Using Larger Than Block-Size Key - Hash Key First",
                       54, out) == HF_OK);
  CHECK_EQ_HEX(
      out, 32,
      "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
  hf_wipe(key, sizeof(key));
  CHECK(key[0] == 0 && key[130] == 0);
}

int main(void) {
  test_ed25519_vectors();
  test_malleated();
  test_unsound_keys();
  test_generate();
  test_hmac();
  return check_summary("signature");
}
