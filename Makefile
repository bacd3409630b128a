# ecluse: `make help` lists the targets.

MODE    ?= release
BUILD   ?= build
OUT     := $(BUILD)/$(MODE)
CC      ?= gcc
PREFIX  ?= /usr/local

LIBRARIES := libuv openssl libcurl jansson sqlite3 libsasl2 libmicrohttpd libqrencode libseccomp expat
CPPFLAGS  += -Iinclude -I$(OUT)/include -D_GNU_SOURCE -DECLUSE_VERSION='"$(VERSION)"' \
             -DSASL_PLUGIN_FOLDER='"$(SASL_PLUGINS)"' $(shell pkg-config --cflags $(LIBRARIES) 2>/dev/null)
LDLIBS    += $(shell pkg-config --libs $(LIBRARIES) 2>/dev/null) -linih -lresolv
VERSION   := 0.1.0
SASL_PLUGINS ?= $(shell pkg-config --variable=libdir libsasl2 2>/dev/null)/sasl2

# Texts for humans are cut where they are too long, on purpose.
supported = $(shell $(CC) -Werror $(1) -fsyntax-only -x c /dev/null 2>/dev/null && echo $(1))
WARNINGS := -Wall -Wextra -Wconversion -Wformat=2 -Wvla -Wshadow -Wstrict-prototypes \
            -Wmissing-prototypes -Wundef -Wpointer-arith -Wcast-qual $(call supported,-Wno-format-truncation)
ifeq ($(WERROR),1)
WARNINGS += -Werror
endif
HARDENING := -fstack-protector-strong -fstack-clash-protection $(call supported,-fcf-protection=full) -fPIE \
             $(call supported,-ftrivial-auto-var-init=zero) $(call supported,-fstrict-flex-arrays=3) \
             -fno-delete-null-pointer-checks -fno-strict-overflow -fvisibility=hidden
# libsasl2 must find the program's own gethostname: see proxy/auth/hostname.c
EXPORT  := -Wl,--export-dynamic-symbol=gethostname
# A shadow stack needs no help of the start-up code, whose objects do not say that they can do with one.
ifneq ($(filter x86_64-%,$(shell $(CC) -dumpmachine)),)
LDFLAGS += -Wl,-z,shstk
endif
LDFLAGS += -pie -Wl,-z,relro,-z,now,-z,noexecstack,-z,separate-code $(EXPORT)

ifeq ($(MODE),asan)
CFLAGS  += -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
LDFLAGS += -fsanitize=address,undefined
else ifeq ($(MODE),coverage)
CFLAGS  += -O0 -g --coverage
LDFLAGS += --coverage
else ifeq ($(MODE),tsan)
CFLAGS  += -O1 -g -fno-omit-frame-pointer -fsanitize=thread
LDFLAGS += -fsanitize=thread
else ifeq ($(MODE),debug)
CFLAGS  += -O0 -g3
else
CFLAGS  += -O2 -g -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3
endif
CFLAGS += -std=c11 $(WARNINGS) $(HARDENING) -MMD -MP

PURE_SOURCES   := $(sort $(wildcard proxy/base/*.c proxy/mail/*.c proxy/auth/*.c proxy/audit/*.c proxy/conf/*.c))
NET_SOURCES    := $(sort $(wildcard proxy/net/*.c))
UPPER_SOURCES  := $(sort $(wildcard proxy/gate/*.c proxy/keeper/*.c))
CLI_SOURCES    := $(sort $(wildcard proxy/cli/*.c))
object = $(patsubst %.c,$(OUT)/%.o,$(1))

UNIT_TESTS := $(patsubst tests/unit/%.c,$(OUT)/unit/%,$(sort $(wildcard tests/unit/test_*.c)))
NET_TESTS  := $(patsubst tests/net/%.c,$(OUT)/net/%,$(sort $(wildcard tests/net/test_*.c)))
FUZZERS    := $(patsubst tests/fuzz/%.c,%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
REPLAYERS  := $(patsubst %,$(OUT)/fuzz/%,$(FUZZERS))
TEST_LIB   := $(sort $(wildcard tests/lib/*.c))

# Who uses libuv's pool, a thread of libcurl's or one of the test's own.
THREADED := broker broker_discovery desk desk_grant fetch grant grant_clear journal journal_anchor journal_failures \
            journal_writer resolve service_search vault_rekey

# `make V=1` shows the commands.
ifeq ($(V),1)
say = @:
else
.SILENT:
say = @printf '%-5s %s\n'
endif

.PHONY: all
all: $(OUT)/ecluse ## build (MODE=release, debug, asan or coverage)

$(OUT)/ecluse: $(call object,$(PURE_SOURCES) $(NET_SOURCES) $(UPPER_SOURCES) $(CLI_SOURCES))
	$(say) LINK $@
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(OUT)/%.o: %.c
	@mkdir -p $(@D)
	$(say) CC $<
	$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

# It holds the table of providers: see there.
$(OUT)/proxy/conf/provider_table.o: config/providers.ini

# The same, with an allocator that fails when it is told to, and in a hurry.
ALLOCATOR := malloc,--export-dynamic-symbol=calloc,--export-dynamic-symbol=realloc,--export-dynamic-symbol=free
ALLOCATOR := $(ALLOCATOR),--export-dynamic-symbol=posix_memalign,--export-dynamic-symbol=aligned_alloc
$(OUT)/torture/ecluse: $(call object,$(PURE_SOURCES) $(NET_SOURCES) $(UPPER_SOURCES) $(CLI_SOURCES) $(wildcard tests/torture/*.c))
	@mkdir -p $(@D)
	$(say) LINK $@
	$(CC) $(CFLAGS) $(LDFLAGS) -Wl,--export-dynamic-symbol=$(ALLOCATOR) -Wl,--wrap=uv_timer_start,--wrap=clock_steady_milliseconds -o $@ $^ $(LDLIBS)

# The same, with a gate that does not wait for long.
$(OUT)/hasty/ecluse: $(filter-out $(OUT)/proxy/gate/gate_patience.o,$(call object,$(PURE_SOURCES) $(NET_SOURCES) $(UPPER_SOURCES) $(CLI_SOURCES))) $(OUT)/tests/hasty/gate_patience.o
	@mkdir -p $(@D)
	$(say) LINK $@
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# The same, but not confined: valgrind runs within the process that it checks.
$(OUT)/memcheck/ecluse: $(filter-out $(OUT)/proxy/net/confine.o,$(call object,$(PURE_SOURCES) $(NET_SOURCES) $(UPPER_SOURCES) $(CLI_SOURCES))) $(OUT)/tests/memcheck/unconfined.o
	@mkdir -p $(@D)
	$(say) LINK $@
	$(CC) $(CFLAGS) $(LDFLAGS) -Wl,--wrap=uv_spawn -o $@ $^ $(LDLIBS)

# The pure archive is floor 0 and 1 and nothing else: a unit test that needs more does not link.
$(OUT)/pure.a: $(call object,$(PURE_SOURCES))
	rm -f $@ && ar rcs $@ $^
$(OUT)/net.a: $(call object,$(NET_SOURCES) $(UPPER_SOURCES))
	rm -f $@ && ar rcs $@ $^

# An archive, so that a test gets only the helpers that it uses.
$(OUT)/testlib.a: $(call object,$(TEST_LIB))
	rm -f $@ && ar rcs $@ $^

PURE_LIBRARIES := -lsasl2 -lcrypto -ljansson -linih -lexpat
$(OUT)/unit/%: $(OUT)/tests/unit/%.o $(OUT)/testlib.a $(OUT)/pure.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(PURE_LIBRARIES) -lcmocka
$(OUT)/net/%: $(OUT)/tests/net/%.o $(OUT)/testlib.a $(OUT)/net.a $(OUT)/pure.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS) -lcmocka
$(OUT)/fuzz/%: $(OUT)/tests/fuzz/%.o $(OUT)/tests/fuzz/replay.o $(OUT)/testlib.a $(OUT)/net.a $(OUT)/pure.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS) -lcmocka
$(OUT)/bench/%: $(OUT)/tests/bench/%.o $(OUT)/tests/bench/link.o $(OUT)/tests/bench/message.o
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ -lssl -lcrypto
# It counts system calls and allocations, standing before the C library.
$(OUT)/net/test_costs: $(OUT)/tests/net/cost_counter.o
.SECONDARY:

.PHONY: demo test unit net replay e2e torture crash soak threads tsan memcheck hardening asan analyze fuzz coverage reach bench journal-load layers format lint install help clean
demo: ## install what is missing, build, and show it working before a real server
	@tests/deps demo
	@$(MAKE) all
	@tests/rig/demo
test: ## install what is missing, build, run every test
	@tests/deps test
	@tests/lib/run-all
unit: $(UNIT_TESTS) ## pure tests: floors 0 and 1 alone
	@tests/lib/run-c $^
net: $(NET_TESTS) ## tests over real sockets on loopback
	@tests/lib/run-c $^
replay: $(REPLAYERS) ## every fuzz target over its corpus
	@tests/lib/run-replay $^
e2e: $(OUT)/ecluse $(OUT)/hasty/ecluse $(if $(filter release,$(MODE)),$(OUT)/torture/ecluse) ## end to end on the real server
	@tests/lib/run-e2e $(abspath $(OUT))/ecluse
torture: $(OUT)/ecluse $(OUT)/torture/ecluse ## every k-th system call and allocation fails, k by k (FROM=1 TO= STEP=1 BURST=1; ONLY=allocation: an hour)
	@TORTURE=all TORTURE_FROM=$(FROM) TORTURE_TO=$(TO) TORTURE_STEP=$(STEP) TORTURE_BURST=$(BURST) tests/lib/run-e2e $(abspath $(OUT))/ecluse -rP -k "$(if $(ONLY),test_an_$(ONLY),test_a_call_fails or test_an_allocation)"
N ?= 300
crash: $(OUT)/ecluse ## kill -9 of keeper and gates at N=300 random instants (CRASH_SEED= repeats them)
	@CRASH_KILLS=$(N) tests/lib/run-e2e $(abspath $(OUT))/ecluse -rP -k test_crash
soak: $(OUT)/ecluse ## mails for T=60 seconds, what memory and descriptors grow by; 4 GiB at once; a mob
	@SOAK_SECONDS=$(T) tests/lib/run-e2e $(abspath $(OUT))/ecluse -rP -k "test_soak or test_abuse or test_memory"
asan: ## everything under ASan, UBSan and LSan
	@$(MAKE) unit net replay e2e MODE=asan
threads: $(addprefix $(OUT)/net/test_,$(THREADED))
	@tests/lib/run-c $^
tsan: ## the tests of what uses threads, under ThreadSanitizer
	@$(MAKE) threads MODE=tsan
memcheck: ## a visit by each protocol with keeper and gate under valgrind
	@tests/deps test memcheck
	@$(MAKE) $(OUT)/ecluse $(OUT)/memcheck/ecluse
	@MEMCHECK=1 E2E_WORKERS=1 tests/lib/run-e2e $(abspath $(OUT))/ecluse -k test_memcheck
hardening: $(OUT)/ecluse ## the release build is hardened as it should be
	@tests/lib/check-hardening $<
	@tests/lib/check-hardening --self
layers: ## no include points up, sideways or in a circle
	@tests/lib/layers
T ?= 60
fuzz: ## every fuzz target for T=60 seconds, with clang
	@tests/deps clang
	@tests/lib/run-fuzz $(T) $(FUZZERS)
coverage: ## which lines of floors 0 and 1 the corpora and the unit tests reach (MISSING=1: which not)
	@$(MAKE) reach MODE=coverage
reach: $(UNIT_TESTS) $(REPLAYERS)
	@tests/lib/run-coverage $(OUT)
bench: ## what ecluse costs beside other proxies (FAST=1, SCALE=1, EMAILPROXY=, AUDIT=, ROUNDS=)
	@tests/deps bench
	@$(MAKE) $(OUT)/ecluse $(OUT)/bench/load $(OUT)/bench/upstream $(OUT)/bench/floor
	@BENCH_BUILD=$(OUT)/bench ECLUSE=$(abspath $(OUT))/ecluse FAST=$(FAST) ROUNDS=$(ROUNDS) AUDIT=$(AUDIT) SCALE=$(SCALE) BEFORE=$(BEFORE) \
	    $(if $(EMAILPROXY),EMAILPROXY=$(EMAILPROXY)) tests/bench/bench
journal-load: ## 100000 events a second for 20 s: nothing is dropped (RATE=, FOR=, ROUNDS=)
	@tests/deps demo
	@$(MAKE) $(OUT)/ecluse $(OUT)/bench/load $(OUT)/bench/upstream
	@BENCH_BUILD=$(OUT)/bench ECLUSE=$(abspath $(OUT))/ecluse RATE=$(RATE) FOR=$(FOR) ROUNDS=$(ROUNDS) tests/bench/journal-load
format: ## clang-format every source
	clang-format -i $$(git ls-files 'proxy/*.c' 'include/*.h' 'tests/*.c' 'tests/*.h')
lint: ## clang-format, clang-tidy and cppcheck find nothing
	@tests/deps clang
	clang-format --dry-run -Werror $$(git ls-files 'proxy/*.c' 'include/*.h' 'tests/*.c' 'tests/*.h')
	cppcheck --quiet --error-exitcode=1 --std=c11 --enable=warning,performance,portability -Iinclude proxy
	git ls-files 'proxy/*.c' | xargs -P 2 -I{} clang-tidy --quiet {} -- -std=c11 $(CPPFLAGS)
# What clang warns of with the same flags, and what its analyzer finds on any path.
$(OUT)/%.analyzed: %.c $(wildcard include/*/*.h)
	@mkdir -p $(@D)
	$(say) CHECK $<
	$(CC) $(CPPFLAGS) $(filter-out -MMD -MP,$(CFLAGS)) -fsyntax-only $<
	$(CC) $(CPPFLAGS) -std=c11 --analyze -Xclang -analyzer-werror --analyzer-output text $<
	touch $@
.PHONY: analyzed
analyzed: $(patsubst %.c,$(OUT)/%.analyzed,$(PURE_SOURCES) $(NET_SOURCES) $(UPPER_SOURCES) $(CLI_SOURCES))
analyze: ## clang with -Werror and clang's static analyzer find nothing
	@tests/deps clang
	@$(MAKE) analyzed MODE=analyze CC=clang WERROR=1
install: $(OUT)/ecluse ## DESTDIR= PREFIX=
	install -D -m 755 $(OUT)/ecluse $(DESTDIR)$(PREFIX)/bin/ecluse
	install -D -m 644 config/man/ecluse.1 $(DESTDIR)$(PREFIX)/share/man/man1/ecluse.1
	install -D -m 644 config/man/ecluse-audit.5 $(DESTDIR)$(PREFIX)/share/man/man5/ecluse-audit.5
	install -D -m 644 config/providers.ini $(DESTDIR)$(PREFIX)/share/doc/ecluse/providers.ini
	install -D -m 644 config/ecluse.ini $(DESTDIR)$(PREFIX)/share/doc/ecluse/ecluse.ini
clean: ## remove what was built
	rm -rf $(BUILD)
help: ## this list
	@grep -hE '^[a-z0-9-]+:.*##' Makefile | sed -E 's/^([a-z0-9-]+):.*## /\1\t/' | sort | column -ts "$$(printf '\t')"

-include $(shell find $(OUT) -name '*.d' 2>/dev/null)
