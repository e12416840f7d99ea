# chat-api. `make help` lists the targets. Output goes to build/ only: build/chat-api is the release
# build; VARIANT=asan or VARIANT=tsan builds the same under build/asan/ or build/tsan/.

BUILD := build
VARIANT ?= release
OUT := $(if $(filter release,$(VARIANT)),$(BUILD),$(BUILD)/$(VARIANT))
SECONDS ?= 60
MINUTES ?= 10
BENCH := $(BUILD)/bench
comma := ,

CPPFLAGS += -D_GNU_SOURCE -I.
WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2
CFLAGS_release := -O2 -g -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE -fno-plt
LDFLAGS_release := -pie -Wl,-z,relro,-z,now
CFLAGS_asan := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
LDFLAGS_asan := -fsanitize=address,undefined
CFLAGS_tsan := -O1 -g -fno-omit-frame-pointer -fsanitize=thread
CFLAGS_strict := -O2
CFLAGS_fuzz := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=all
LDFLAGS_tsan := -fsanitize=thread
ALL_CFLAGS = -std=gnu17 $(WARNINGS) $(WERROR) $(CFLAGS_$(VARIANT)) -pthread $(CFLAGS)
ALL_LDFLAGS = $(LDFLAGS_$(VARIANT)) -pthread $(LDFLAGS)
LIBS := -lmicrohttpd -lwslay -lhiredis -luring -lyajl -ljansson -lz -lcrypto

LIB_SOURCES := $(filter-out app/main.c,$(wildcard app/*.c handlers/*.c core/*/*.c openapi/*.c))
UNIT_SOURCES := $(shell find tests/unit tests/support -name '*.c' 2>/dev/null)
LOAD_SOURCES := $(wildcard tests/bench/load/*.c)
SOURCES := $(LIB_SOURCES) app/main.c tests/echo/main.c tests/starve/starve.c $(UNIT_SOURCES) \
	$(LOAD_SOURCES) tests/bench/floor.c tests/bench/cost/cost.c
HEADERS := $(wildcard app/*.h handlers/*.h core/*/*.h openapi/*.h tests/support/*.h \
	tests/bench/load/*.h)
FUZZ_TARGETS := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
LIB_OBJECTS := $(LIB_SOURCES:%.c=$(OUT)/obj/%.o)
UNIT_OBJECTS := $(UNIT_SOURCES:%.c=$(OUT)/obj/%.o)
# Of the load generator, what has unit tests.
UNIT_LOAD_OBJECTS := $(patsubst %,$(OUT)/obj/tests/bench/load/%.o,flavour ledger meter must options stamp)

.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all ws-echo run test unit replay e2e asan tsan valgrind fuzz soak bench bench-growth bench-100k \
	bench-report bench-check bench-record lint format check-format check clean help deps deps-test \
	deps-peers

all: $(OUT)/chat-api ## build build/chat-api

ws-echo: $(OUT)/ws-echo ## build build/ws-echo, the connection layer for protocol test suites

run: deps ## install what is missing, build, serve on PORT (8080) without Redis unless REDIS_URL is set
	@$(MAKE) --no-print-directory all
	$(BUILD)/chat-api

test: deps deps-test ## install what is missing, build, run every test
	@$(MAKE) --no-print-directory unit replay e2e

unit: $(OUT)/unit ## unit tests
	$(OUT)/unit

e2e: all ws-echo $(OUT)/chat-api-starved $(BUILD)/npm/tests/.installed ## end-to-end tests of the real binary
	CHAT_API_BIN=$(OUT)/chat-api node tests/e2e/run.js

asan: ## both kinds of tests under AddressSanitizer and UndefinedBehaviorSanitizer
	@$(MAKE) --no-print-directory VARIANT=asan unit
	@E2E_SLOW=3 $(MAKE) --no-print-directory VARIANT=asan e2e

# Its reports are among the first lines of a long output: they are shown where it ends.
tsan: ## both kinds of tests under ThreadSanitizer
	@rm -f $(BUILD)/tsan/report.*
	@TSAN_OPTIONS="$$TSAN_OPTIONS log_path=$(BUILD)/tsan/report" $(MAKE) --no-print-directory VARIANT=tsan unit || \
		{ cat $(BUILD)/tsan/report.* 2>/dev/null; exit 1; }
	@E2E_SLOW=5 $(MAKE) --no-print-directory VARIANT=tsan e2e

valgrind: all ## a session of 1,000 clients under memcheck: no leak, no error
	E2E_SLOW=20 CHAT_API_BIN=$(OUT)/chat-api node tests/bench/memcheck.js

fuzz: $(FUZZ_TARGETS:%=$(BUILD)/fuzz/fuzz_%) ## every fuzzer for SECONDS (60) each; findings stay in build/fuzz
	@for name in $(FUZZ_TARGETS); do mkdir -p $(BUILD)/fuzz/found/$$name && echo "== $$name" && \
		dict=$$(find tests/fuzz -name $$name.dict) && \
		$(BUILD)/fuzz/fuzz_$$name $${dict:+-dict=$$dict} -max_total_time=$(SECONDS) -timeout=10 -print_final_stats=1 \
		-artifact_prefix=$(BUILD)/fuzz/$$name- $(BUILD)/fuzz/found/$$name \
		tests/fuzz/corpus/$$name || exit 1; done

replay: $(FUZZ_TARGETS:%=$(OUT)/replay/%) ## the fuzzers' corpora once, without a fuzzer
	@for name in $(FUZZ_TARGETS); do $(OUT)/replay/$$name tests/fuzz/corpus/$$name || exit 1; done

deps: ; @sh tests/support/deps.sh build
deps-test: ; @sh tests/support/deps.sh test
deps-peers: ; @sh tests/support/deps.sh peers

# What PEERS needs: packages of Debian, of npm, a build.
PEER_FILES := $(if $(PEERS),deps-peers) $(if $(findstring go,$(PEERS)),$(BENCH)/hub) \
	$(if $(filter ws socketio bun,$(subst $(comma), ,$(PEERS))),$(BUILD)/npm/tests/bench/peers/.installed)

bench: all $(PEER_FILES) $(BENCH)/load $(BENCH)/floor ## speed, memory, latency beside the bare system calls and PEERS
	CHAT_API_BIN=$(OUT)/chat-api node tests/bench/run.js $(SCENARIOS)

bench-growth: all $(BENCH)/load $(BENCH)/floor ## cost and memory as members, rooms, messages and threads grow
	CHAT_API_BIN=$(OUT)/chat-api node tests/bench/run.js growth

bench-100k: all $(BENCH)/load ## 100,000 clients at once over six pods and one Redis
	CHAT_API_BIN=$(OUT)/chat-api node tests/bench/hundred.js

bench-report: $(BUILD)/npm/tests/bench/picture/.installed ## what was measured, into docs/performance.md and pictures
	TEST_PACKAGES=$(BUILD)/npm/tests/bench/picture \
		node tests/bench/picture/draw.js $(BENCH) docs/pictures
	node tests/bench/report.js

bench-check: $(BENCH)/cost ## instruction counts of fixed work against the recorded ones, within 5 %
	@sh tests/bench/cost/check.sh

bench-record: $(BENCH)/cost ## record the instruction counts that bench-check compares with
	@sh tests/bench/cost/check.sh --record

soak: all ## churn of clients, rooms and Redis for MINUTES (10): memory, descriptors, threads come back
	CHAT_API_BIN=$(OUT)/chat-api node tests/bench/soak.js $(MINUTES)

# --- programs ---

$(OUT)/chat-api: $(OUT)/obj/app/main.o $(OUT)/libchat.a
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

# From the same archive as the service, so that what suites test is what serves.
$(OUT)/ws-echo: $(OUT)/obj/tests/echo/main.o $(OUT)/libchat.a
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

# The service with less memory than it asks for (tests/starve/starve.c).
STARVED := mem_try_alloc mem_try_zalloc mem_try_resize slab_try_alloc
$(OUT)/chat-api-starved: $(OUT)/obj/app/main.o $(OUT)/obj/tests/starve/starve.o $(OUT)/libchat.a
	$(CC) $(ALL_LDFLAGS) $(STARVED:%=-Wl,--wrap=%) -o $@ $^ $(LIBS)

$(BUILD)/fuzz/fuzz_%: tests/fuzz/fuzz_%.c $(BUILD)/fuzz/libchat.a
	clang $(CPPFLAGS) -std=gnu17 $(CFLAGS_fuzz) -fsanitize=fuzzer -o $@ $^ $(LIBS) -pthread

ifneq ($(VARIANT),fuzz)
$(BUILD)/fuzz/libchat.a: $(LIB_SOURCES) $(HEADERS)
	@$(MAKE) --no-print-directory CC=clang VARIANT=fuzz $@
endif

$(OUT)/replay/%: $(OUT)/obj/tests/fuzz/fuzz_%.o $(OUT)/obj/tests/fuzz/replay.o $(OUT)/libchat.a
	@mkdir -p $(@D)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

$(OUT)/libchat.a: $(LIB_OBJECTS)
	rm -f $@
	$(AR) rcs $@ $^

$(OUT)/unit: $(UNIT_OBJECTS) $(UNIT_LOAD_OBJECTS) $(OUT)/libchat.a
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS) -lcunit

# The generator and the floor are built the same way whatever VARIANT they measure.
$(BENCH)/load: $(LOAD_SOURCES:%.c=$(BUILD)/obj/%.o)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_release) -o $@ $^

$(BENCH)/floor: $(BUILD)/obj/tests/bench/floor.o
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_release) -o $@ $^

$(BENCH)/cost: $(BUILD)/obj/tests/bench/cost/cost.o $(BUILD)/libchat.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_release) -pthread -o $@ $^ $(LIBS)

# With the packages of Debian, not of the network.
$(BENCH)/hub: tests/bench/peers/hub.go
	@mkdir -p $(@D)
	GO111MODULE=off GOPATH=/usr/share/gocode GOFLAGS= go build -o $@ $<

$(OUT)/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# --- npm packages: installed under build/, again only when a lock file changed ---

$(BUILD)/npm/%/.installed: %/package.json %/package-lock.json
	@mkdir -p $(@D)
	cp $^ $(@D)/
	cd $(@D) && npm ci --ignore-scripts --no-audit --no-fund
	@touch $@

# --- what the binary carries: the chat page, openapi.json, the docs page ---

# SWAGGER_DIST=FOLDER takes an unpacked swagger-ui-dist from there, and npm is not needed.
ifdef SWAGGER_DIST
SWAGGER_SOURCE = $(SWAGGER_DIST)/%
else
SWAGGER_DIST := $(BUILD)/npm/openapi/node_modules/swagger-ui-dist
SWAGGER_SOURCE := $(BUILD)/npm/openapi/.installed
endif

ASSETS := $(BUILD)/assets
ASSET_FILES := $(wildcard app/web/*) $(addprefix openapi/,openapi.json asyncapi.json docs.html docs.css \
	docs.js events.html events.css events.js)
SWAGGER_FILES := swagger-ui.css swagger-ui-bundle.js swagger-ui-bundle.js.LICENSE.txt LICENSE NOTICE
SWAGGER_GZ := $(SWAGGER_FILES:%=$(ASSETS)/swagger/%.gz)
ASSET_GZ := $(ASSET_FILES:%=$(ASSETS)/%.gz) $(SWAGGER_GZ)

$(SWAGGER_GZ): $(ASSETS)/swagger/%.gz: $(SWAGGER_SOURCE)
	@mkdir -p $(@D)
	gzip -9nc $(SWAGGER_DIST)/$* >$@

$(ASSETS)/%.gz: %
	@mkdir -p $(@D)
	gzip -9nc $< >$@

$(ASSETS)/assets.h: openapi/describe-assets.sh $(ASSET_FILES) $(ASSET_GZ)
	openapi/describe-assets.sh $(ASSETS) $(filter-out $<,$^) >$@

# The compiler reads the files behind make's back (.incbin): whenever one changes, so does assets.h,
# which embed.c includes.
EMBED_FLAGS := -I$(ASSETS) -DEMBED_DIR='"$(ASSETS)"'
$(OUT)/obj/openapi/embed.o: CPPFLAGS += $(EMBED_FLAGS)
$(OUT)/obj/openapi/embed.o: $(ASSETS)/assets.h

# --- checks ---

format: ## format all C files
	clang-format -i $(SOURCES) $(HEADERS) $(wildcard tests/fuzz/*.c)

# The suites mostly wait; what only computes has the time that they leave, and is shown at the end,
# unless it passed and the suites did not: what failed stands last.
check: deps deps-test ## what a reviewer runs: format, lint, tests, asan, tsan, valgrind
	@sh tests/support/deps.sh check
	@$(MAKE) --no-print-directory check-format all
	@nice -n 19 $(MAKE) --no-print-directory lint bench-check valgrind >$(BUILD)/beside.log 2>&1 & \
		beside=$$!; $(MAKE) --no-print-directory asan tsan; result=$$?; \
		if ! wait $$beside; then result=1; cat $(BUILD)/beside.log; \
		elif [ $$result -eq 0 ]; then cat $(BUILD)/beside.log; fi; exit $$result

lint: $(ASSETS)/assets.h ## static checks: includes, banned calls, locks, clang-tidy, cppcheck, warnings
	sh tests/lint/run.sh -I$(ASSETS) "-DEMBED_DIR='\"$(ASSETS)\"'"
	@$(MAKE) --no-print-directory WERROR=-Werror VARIANT=strict all ws-echo

check-format:
	clang-format --dry-run --Werror $(SOURCES) $(HEADERS) $(wildcard tests/fuzz/*.c)

clean: ## remove build/
	rm -rf $(BUILD)

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "%-12s %s\n", $$1, $$2}' Makefile

$(OUT)/obj/tests/fuzz/%: WARNINGS += -Wno-missing-prototypes

-include $(shell find $(OUT)/obj -name '*.d' 2>/dev/null)
