# Holdfast. GNU make.
#
#   make            build/holdfast.so
#   make deps       install what is missing of Debian's packages
#   make demo       deps, build, then a demonstration of what it does
#   make test       deps, build, then every test
#   make unit       the C and SQL tests only: the inner loop
#   make bench      measurements against plain SQLite
#   make sanitize   every test with ASan, UBSan and leak detection
#   make lint       formatting, clang-tidy, cppcheck, rules of the tree
#   make format     let clang-format rewrite the C sources
#   make dist       build/dist/holdfast.c and .h: all in one file
#   make install    below $(DESTDIR)$(PREFIX)
#   make clean
#
# and matrix, faults, soak, fuzz where tests/<name>/run exists.
#
# To choose: CC=clang; CFLAGS; STATIC_CRYPTO=1 puts libcrypto into the library;
# WERROR= lets warnings of a newer compiler pass; BUILD=<folder> builds
# elsewhere. A change of any of them rebuilds what it concerns.

BUILD := build
PREFIX := /usr/local
ifeq ($(origin CC),default)
  CC := gcc
endif
CFLAGS ?= -O2 -g
WERROR ?= -Werror

# SQLite searches no folder for extensions; lib/sqlite3 is where Debian's own
# packages keep them.
libdir = $(DESTDIR)$(PREFIX)/lib/sqlite3
sqldir = $(DESTDIR)$(PREFIX)/share/holdfast/sql

# Sources in the order in which the amalgamation joins them.
CORE_SRC := $(sort $(wildcard ext/core/*.c))
SHARED_SRC := $(sort $(wildcard ext/sqlite/*.c))
AREA_SRC := $(filter-out $(CORE_SRC) $(SHARED_SRC), \
              $(sort $(wildcard ext/*/*.c ext/*/*/*.c)))
HEADERS := $(wildcard ext/*.h ext/*/*.h ext/*/*/*.h)
SQL := $(sort $(wildcard sql/*.sql))
EMBEDDED := $(BUILD)/gen/embedded_sql.c
SRC := $(CORE_SRC) $(EMBEDDED) $(SHARED_SRC) $(AREA_SRC) ext/holdfast.c

objects = $(patsubst %.c,$(BUILD)/obj/%.o,$(patsubst $(BUILD)/%,%,$(1)))
OBJ := $(call objects,$(SRC))
CORE_OBJ := $(call objects,$(CORE_SRC))
UNIT := $(patsubst tests/unit/%.c,$(BUILD)/unit/%, \
          $(wildcard tests/unit/*.c))

LIB := $(BUILD)/holdfast.so
DIST := $(BUILD)/dist/holdfast.c $(BUILD)/dist/holdfast.h
DIST_PROGRAMS := $(BUILD)/dist/holdfast.so $(BUILD)/dist/static

ifdef STATIC_CRYPTO
  CRYPTO_FLAGS := -DHF_STATIC_CRYPTO=1
  LDLIBS := -l:libcrypto.a -ldl -lpthread -lm
  # Symbols of the archive stay inside, so a host's own OpenSSL is not touched.
  CRYPTO_LDFLAGS := -Wl,--exclude-libs,ALL
else
  LDLIBS := -lcrypto -lm
endif

COMPILE = $(CC) -std=c11 $(CFLAGS) -fPIC -fvisibility=hidden \
  -Wall -Wextra -Wpedantic $(WERROR) -Iext $(CRYPTO_FLAGS) $(CPPFLAGS)
# Extensions are loaded with global symbols: -Bsymbolic binds ours to ourselves.
LINK_FLAGS = -shared -Wl,-Bsymbolic -Wl,-z,relro,-z,now -Wl,--no-undefined \
  $(CRYPTO_LDFLAGS) $(LDFLAGS)
LINK = $(CC) $(CFLAGS) $(LINK_FLAGS)
SANITIZE_FLAGS := -O1 -g -fno-omit-frame-pointer \
  -fsanitize=address,undefined -fno-sanitize-recover=all

MAKEFLAGS += --no-print-directory --no-builtin-rules
.SUFFIXES:
.DELETE_ON_ERROR:
.PHONY: all test-programs deps deps-base demo test unit bench sanitize lint \
  format dist install clean FORCE

all: $(LIB)

# ---- building ---------------------------------------------------------------

# A stamp holds a text that the outcome depends on beside its files: a command
# line or a list of names. It changes only when the text does.
stamp = @mkdir -p $(@D); echo '$(1)' | cmp -s - $@ || echo '$(1)' >$@

$(BUILD)/compile.stamp: FORCE
	$(call stamp,$(COMPILE))

$(BUILD)/link.stamp: FORCE
	$(call stamp,$(LINK) $(OBJ) $(LDLIBS))

$(BUILD)/sql.stamp: FORCE
	$(call stamp,$(SQL))

$(EMBEDDED): $(SQL) tests/tools/embed $(BUILD)/sql.stamp
	@mkdir -p $(@D)
	tests/tools/embed $(SQL) >$@

$(BUILD)/obj/ext/%.o: ext/%.c $(BUILD)/compile.stamp
	@mkdir -p $(@D)
	$(COMPILE) -MMD -MP -c $< -o $@

$(BUILD)/obj/gen/%.o: $(BUILD)/gen/%.c $(BUILD)/compile.stamp
	@mkdir -p $(@D)
	$(COMPILE) -MMD -MP -c $< -o $@

$(LIB): $(OBJ) $(BUILD)/link.stamp
	$(LINK) $(OBJ) $(LDLIBS) -o $@

# Unit tests see the core alone: what they need of SQLite would not link.
$(BUILD)/unit/%: tests/unit/%.c $(CORE_OBJ) $(BUILD)/compile.stamp
	@mkdir -p $(@D)
	$(COMPILE) -MMD -MP $< $(CORE_OBJ) $(LDFLAGS) $(LDLIBS) -lpthread -o $@

-include $(OBJ:.o=.d) $(UNIT:=.d)

# ---- one file for embedders -------------------------------------------------

dist: $(DIST)

$(BUILD)/dist/holdfast.c: $(SRC) $(HEADERS) tests/tools/amalgamate \
    $(BUILD)/link.stamp
	@mkdir -p $(@D)
	tests/tools/amalgamate $(SRC) >$@

$(BUILD)/dist/holdfast.h: tests/dist/holdfast.h
	@mkdir -p $(@D)
	cp $< $@

$(BUILD)/dist/holdfast.so: $(BUILD)/dist/holdfast.c $(BUILD)/compile.stamp
	$(COMPILE) $(LINK_FLAGS) $< $(LDLIBS) -o $@

# The header is forced into the one file, so that the two cannot disagree.
$(BUILD)/dist/static: tests/dist/static.c tests/unit/check.h $(DIST) \
    $(BUILD)/compile.stamp
	$(COMPILE) -DSQLITE_CORE -include $(BUILD)/dist/holdfast.h \
	  -I$(BUILD)/dist -Itests/unit $< $(BUILD)/dist/holdfast.c \
	  $(LDFLAGS) -lsqlite3 $(LDLIBS) -o $@

# ---- running ----------------------------------------------------------------

# What every script below tests, shows or measures.
export HOLDFAST := $(abspath $(BUILD))/holdfast

deps:
	@CC=$(CC) tests/tools/deps base test

deps-base:
	@CC=$(CC) tests/tools/deps base

demo: deps-base
	@$(MAKE) all
	@examples/demo/run
	@examples/orchestrator/run

test-programs: $(LIB) $(UNIT) $(DIST_PROGRAMS)

test: deps
	@$(MAKE) test-programs
	@tests/run

unit: $(LIB) $(UNIT)
	@tests/run unit sql

bench: deps
	@$(MAKE) all
	@tests/bench/run

# Suites that exist: each is a program of its own.
SUITES := $(patsubst tests/%/run,%,$(wildcard \
            $(patsubst %,tests/%/run,matrix faults soak fuzz)))
.PHONY: $(SUITES)
$(SUITES): deps
	@$(MAKE) all
	@tests/$@/run

# The library is never unmapped here, so that a leak report, which is written
# at the end of the process, can name its functions.
sanitize: deps
	@$(MAKE) BUILD=$(BUILD)/sanitize CFLAGS='$(SANITIZE_FLAGS)' \
	  LDFLAGS=-Wl,-z,nodelete test-programs
	@HOLDFAST='$(abspath $(BUILD))/sanitize/holdfast' \
	  HOLDFAST_PRELOAD="$$($(CC) -print-file-name=libasan.so)" tests/run

lint:
	@CC=$(CC) tests/tools/deps base lint
	@$(MAKE) all
	@tests/tools/lint

format:
	@tests/tools/deps lint
	clang-format -i $$(find ext tests -name '*.[ch]')

install: $(LIB)
	install -d $(libdir) $(sqldir)
	install -m 644 $(LIB) $(libdir)/
	$(if $(SQL),install -m 644 $(SQL) $(sqldir)/)

clean:
	rm -rf $(BUILD)
