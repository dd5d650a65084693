/*
** The canonical form of prompt specifications: core/prompt.h.
*/
#include "core/prompt.h"

#include <string.h>

#include "check.h"

#define REST \
  "\"qualityGates\":[],\"artifacts\":[],\"contextSummary\":\"c\",\"phase\":" \
  "\"P\""

static int prompt_of(const char *json, HfPrompt *prompt) {
  return hf_prompt(json, strlen(json), prompt);
}

static void test_form(void) {
  static const char form[] =
      "{\"phase\":\"P\",\"taskId\":\"T\",\"requirements\":[\"10\",\"9\",\"a\","
      "\"a\",\"\xc3\xa9\"],\"qualityGates\":[],\"artifacts\":[],"
      "\"contextSummary\":\"c\",\"modelVersion\":\"m\"}";
  HfPrompt prompt;
  CHECK_EQ_INT(prompt_of(" { \"taskId\" : \"T\", \"other\": {\"phase\":[1,{}]},"
                         "\"requirements\":[\"\\u00e9\",\"a\",\"9\",\"10\","
                         "\"a\"], \"timestamp\":5, \"modelVersion\":\"m\","
                         "\"personaSummary\":\"x\\\"y\"," REST "}",
                         &prompt),
               HF_OK);
  CHECK_EQ_INT(prompt.size, sizeof(form) - 1);
  CHECK_EQ_MEM(prompt.text, form, sizeof(form) - 1);
  CHECK_EQ_STR(prompt.summary, "\"x\\\"y\"");
  CHECK_EQ_MEM(prompt.text + prompt.field[HF_PROMPT_TASK].at, "\"T\"", 3);
  CHECK_EQ_INT(prompt.field[HF_PROMPT_TASK].size, 3);
  CHECK_EQ_INT(prompt.field[6].size, 0); /* personaHash */
  hf_prompt_clear(&prompt);
}

static void test_wrong(const char *json, const char *where, const char *wrong) {
  HfPrompt prompt;
  CHECK_EQ_INT(prompt_of(json, &prompt), HF_RANGE);
  CHECK_EQ_STR(prompt.where, where);
  CHECK_EQ_STR(prompt.wrong, wrong);
  hf_prompt_clear(&prompt);
}

/* Cut anywhere, it is an error, and nothing is read behind its end. */
static void test_cut(void) {
  static const char json[] = "{\"taskId\":\"T\",\"requirements\":[\"\\u000a\","
                             "\"b\"]," REST "}";
  size_t n;
  HfPrompt prompt;
  for (n = 0; n < sizeof(json) - 1; n++) {
    CHECK_EQ_INT(hf_prompt(json, n, &prompt), HF_RANGE);
    hf_prompt_clear(&prompt);
  }
  CHECK_EQ_INT(hf_prompt(json, n, &prompt), HF_OK);
  hf_prompt_clear(&prompt);
}

int main(void) {
  test_form();
  test_cut();
  test_wrong("[]", NULL, "it must be an object");
  test_wrong("{}", "phase", "it is missing");
  test_wrong("{\"taskId\":1," REST "}", "taskId", "it must be a string");
  test_wrong("{\"taskId\":\"T\",\"requirements\":[1]," REST "}", "requirements",
             "it must be an array of strings");
  test_wrong("{\"taskId\":\"T\",\"requirements\":{}," REST "}", "requirements",
             "it must be an array of strings");
  return check_summary("prompt");
}
