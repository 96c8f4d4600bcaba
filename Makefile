# MOSS. `make help` lists the targets; README.md says what they are for.

BUILD ?= $(if $(SANITIZE),build-sanitize,build)
PREFIX ?= /usr/local
DESTDIR ?=
CC ?= gcc

VERSION := 0.1.0

# `make V=1` shows whole command lines.
Q := $(if $(V),,@)
say = @$(if $(V),:,printf '  %-8s%s\n' $(1) $(2))

# ---- flags ---------------------------------------------------------------------------------------------------------------

# The reviewed warnings: each found or prevents a real class of bugs. WERROR=1 (CI) turns them into errors.
WARNINGS := -Wall -Wextra \
	-Wformat=2 -Wformat-signedness \
	-Wshadow -Wundef -Wpointer-arith -Wcast-align=strict \
	-Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wmissing-declarations \
	-Wnested-externs -Wwrite-strings -Wvla \
	-Wimplicit-fallthrough -Wswitch-enum -Wfloat-equal \
	-Wno-missing-field-initializers -Wno-unknown-warning-option
ifeq ($(shell $(CC) --version | grep -ci clang),0)
WARNINGS += -Wlogical-op -Wduplicated-cond -Wduplicated-branches -Walloca -Wjump-misses-init
endif
WERROR ?= $(if $(CI),1,)

# What this compiler and machine know: clang 14 has no -ftrivial-auto-var-init=zero, only x86 has -fcf-protection.
known = $(shell $(CC) $(1) -Werror -x c -c /dev/null -o /dev/null 2>/dev/null && echo $(1))
HARDENING := -fstack-protector-strong -fstack-clash-protection -fno-strict-overflow \
	$(call known,-fcf-protection) $(call known,-ftrivial-auto-var-init=zero)
ifdef FUZZER
OPTIMISE := -O1 -g -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined
else ifdef SANITIZE
OPTIMISE := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined
else
OPTIMISE := -O2 -g
HARDENING += -D_FORTIFY_SOURCE=2
endif

CFLAGS ?= $(OPTIMISE)
ALL_CFLAGS = -std=gnu17 -D_GNU_SOURCE -I. $(WARNINGS) $(if $(WERROR),-Werror) $(HARDENING) $(CFLAGS) -fPIE -MMD -MP \
	-ffunction-sections -fdata-sections -DMOSS_VERSION='"$(VERSION)"' -DMOSS_BINDIR='"$(PREFIX)/bin"' -DMOSS_LIBEXECDIR='"$(PREFIX)/libexec/moss"' \
	-DMOSS_DATADIR='"$(PREFIX)/share/moss"' $(shell pkg-config --cflags libnl-3.0 2>/dev/null)
LINK_HARDENING := -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--gc-sections
# A static executable with a sanitizer does not exist: moss-runtime is linked dynamically there, what runs in containers goes without it.
STATIC := $(if $(SANITIZE),,-static-pie)
# See runtime/cmd/entry.c, which is written for one kind of processor.
comma := ,
ENTRY := $(if $(SANITIZE),,$(if $(filter x86_64-%,$(shell $(CC) -dumpmachine)),-Wl$(comma)-e$(comma)moss_start))

# ---- parts ---------------------------------------------------------------------------------------------------------------
# A folder is a library; dependencies point one way: evolve -> shim's client -> runtime's libraries -> base.

sources = $(sort $(wildcard $(1)/*.c))
objects = $(patsubst %.c,$(BUILD)/obj/%.o,$(call sources,$(1)))

LIBRARIES := runtime/base runtime/box runtime/store runtime/oci \
	shim/agent shim/client shim/swap shim/probe shim/hold \
	evolve/evidence evolve/stage evolve/coder evolve/coder/search evolve/trial evolve/grade evolve/verdict evolve/consent evolve/ledger evolve/report evolve/control
archive = $(BUILD)/lib/$(subst /,-,$(1)).a
ARCHIVES := $(foreach l,$(LIBRARIES),$(call archive,$(l)))
archives = $(foreach l,$(1),$(call archive,$(l)))

RUNTIME_LIBS := runtime/oci runtime/store runtime/box runtime/base
SHIM_LIBS := shim/swap shim/probe shim/hold shim/client shim/agent runtime/oci runtime/store runtime/box runtime/base
EVOLVE_LIBS := evolve/control evolve/stage evolve/report evolve/verdict evolve/consent evolve/trial evolve/coder evolve/grade evolve/evidence \
	evolve/ledger shim/client shim/agent runtime/store runtime/box runtime/base

SMALL_LIBS := -ljansson -lseccomp -lcap -lsodium
NET_LIBS := -lnl-route-3 -lnl-3
ALL_LIBS := $(SMALL_LIBS) $(NET_LIBS) -lnftnl -lmnl -lgit2 -lcurl -lpthread -lm

PROGRAMS := $(addprefix $(BUILD)/,moss-runtime moss-init moss-shim moss moss-search)
BENCHES := $(patsubst tests/bench/%.c,$(BUILD)/bench/%,$(wildcard tests/bench/*.c))
HELPERS := $(patsubst tests/helpers/%.c,$(BUILD)/helpers/%,$(wildcard tests/helpers/*.c))
UNIT_TESTS := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(shell find tests/unit -name 'test-*.c' 2>/dev/null | sort))

# ---- programs ------------------------------------------------------------------------------------------------------------

.PHONY: all check check-full check-unit check-fuzz fuzz run-fuzz check-integration check-guests guests demo bench install uninstall lint format clean dependencies help
all: $(PROGRAMS)

# One list for the linker to walk again until nothing is missing: the archives refer to one another only downwards, their users do not care.
define link
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) $(or $(1),-pie) -o $@ $(2) -Wl,--start-group $(3) -Wl,--end-group $(LINK_HARDENING) $(4)
endef

$(BUILD)/moss-runtime: $(call objects,runtime/cmd) $(call archives,$(RUNTIME_LIBS))
	$(call link,$(STATIC) $(ENTRY),$(filter %.o,$^),$(filter %.a,$^),$(SMALL_LIBS) $(NET_LIBS) -lpthread -lm)
$(BUILD)/obj/runtime/cmd/entry.o: private CFLAGS += -ffreestanding -fno-stack-protector
ifdef SANITIZE
.PHONY: $(BUILD)/moss-init $(BUILD)/moss-search
$(BUILD)/moss-init $(BUILD)/moss-search:
	$(MAKE) SANITIZE= BUILD=$(BUILD)/plain $(BUILD)/plain/$(@F)
	@cp $(BUILD)/plain/$(@F) $@
else
# The first process of every kept container is in memory, as a file too, for as long as that lives: so it has a C library of twenty kilobytes, and nothing for debuggers.
INIT_CC ?= musl-gcc
$(BUILD)/moss-init: $(patsubst %.c,$(BUILD)/obj-init/%.o,$(call sources,shim/init) runtime/base/socket.c)
	$(call say,LD,$@)
	$(Q)$(INIT_CC) $(ALL_CFLAGS) $(LDFLAGS) -static -s -o $@ $^ $(LINK_HARDENING)
$(BUILD)/obj-init/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(INIT_CC) $(ALL_CFLAGS) -c -o $@ $<
$(BUILD)/moss-search: $(call objects,evolve/coder/search) $(call archives,runtime/base)
	$(call link,-static-pie,$(filter %.o,$^),$(filter %.a,$^),-ljansson -lm)
endif
# A start forks it several times, which copies what is mapped: a library fewer is that much less of a pause. libmnl comes as a shared library alone.
$(BUILD)/moss-shim: $(call objects,shim/cmd) $(call archives,$(SHIM_LIBS))
	$(call link,,$(filter %.o,$^),$(filter %.a,$^),-Wl$(comma)-Bstatic $(SMALL_LIBS) $(NET_LIBS) -lnftnl -Wl$(comma)-Bdynamic -lmnl)
$(BUILD)/moss: $(call objects,evolve/cmd) $(call archives,$(EVOLVE_LIBS))
	$(call link,,$(filter %.o,$^),$(filter %.a,$^),$(ALL_LIBS))

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(ALL_CFLAGS) -c -o $@ $<

# Known only where the sources are a checkout.
$(BUILD)/obj/runtime/cmd/usage.o: private CFLAGS += -DMOSS_COMMIT='"$(or $(shell git rev-parse --short=12 HEAD 2>/dev/null),unknown)"'
# Profiles are part of the object.
$(BUILD)/obj/runtime/box/profile.o: $(wildcard profiles/seccomp/*.json)

define archive_rule
$(call archive,$(1)): $(call objects,$(1))
	@mkdir -p $$(@D)
	@rm -f $$@
	$(Q)ar rcs $$@ $$^
endef
$(foreach l,$(LIBRARIES),$(eval $(call archive_rule,$(l))))

# ---- tests ---------------------------------------------------------------------------------------------------------------

$(BUILD)/unit/%: tests/unit/%.c $(ARCHIVES)
	@mkdir -p $(@D)
	$(call link,,$<,$(ARCHIVES),-lcmocka $(ALL_LIBS))
# `make check-unit UNIT=runtime/base` builds and runs the tests of one folder.
$(BUILD)/bench/%: tests/bench/%.c $(ARCHIVES)
	@mkdir -p $(@D)
	$(call link,,$<,$(ARCHIVES),$(ALL_LIBS))
$(BUILD)/helpers/%: tests/helpers/%.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(filter-out -fsanitize=% -fno-sanitize%,$(ALL_CFLAGS)) -o $@ $< -static $(HELPER_LIBS)
$(BUILD)/helpers/inject: private HELPER_LIBS := -lseccomp

UNIT ?=
check-unit: $(filter $(BUILD)/unit/$(UNIT)%,$(UNIT_TESTS))
	$(if $^,CMOCKA_MESSAGE_OUTPUT=TAP prove $^)

# `make fuzz FUZZ=config FUZZ_SECONDS=600` looks for what breaks a parser, with clang's libFuzzer; check-fuzz runs what is known, with any compiler.
FUZZ ?= $(patsubst tests/fuzz/fuzz-%.c,%,$(sort $(wildcard tests/fuzz/fuzz-*.c)))
FUZZ_SECONDS ?= 60
corpus = tests/fuzz/corpus/$(1) $(wildcard $(FUZZ_MORE_$(1)))
FUZZ_MORE_agent := tests/unit/shim/agent/good tests/unit/shim/agent/bad
FUZZ_MORE_seccomp := profiles/seccomp
$(BUILD)/fuzz/%: tests/fuzz/fuzz-%.c tests/fuzz/directory.c $(if $(FUZZER),,tests/fuzz/replay.c) $(ARCHIVES)
	@mkdir -p $(@D)
	$(call link,$(if $(FUZZER),-pie -fsanitize=fuzzer),$(filter %.c,$^),$(ARCHIVES),$(ALL_LIBS))
check-fuzz: $(addprefix $(BUILD)/fuzz/,$(FUZZ))
	@set -e; $(foreach f,$(FUZZ),echo 'replay $(f)'; $(BUILD)/fuzz/$(f) $(wildcard $(addsuffix /*,$(call corpus,$(f))));)
fuzz:
	@packaging/install-dependencies fuzz
	$(MAKE) BUILD=$(BUILD)-fuzz CC=clang FUZZER=1 run-fuzz
run-fuzz: $(addprefix $(BUILD)/fuzz/,$(FUZZ))
	@set -e; $(foreach f,$(FUZZ),echo 'fuzz $(f)'; mkdir -p $(BUILD)/corpus/$(f); \
		$(BUILD)/fuzz/$(f) -max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=2048 -verbosity=0 -print_final_stats=1 \
			-artifact_prefix=$(BUILD)/corpus/$(f)- $(BUILD)/corpus/$(f) $(call corpus,$(f));)

INTEGRATION ?= $(sort $(wildcard tests/integration/*.bats tests/security/*.bats tests/fault/*.bats))
check-integration: all $(HELPERS) $(BENCHES)
	MOSS_BUILD=$(abspath $(BUILD)) SANITIZE=$(SANITIZE) prove --timer --failures --comments --exec bats $(INTEGRATION)

check: dependencies
	$(MAKE) all $(UNIT_TESTS)
	$(MAKE) check-unit
	$(MAKE) check-fuzz
	$(MAKE) check-integration

# What takes hours, a step after another (FULL_STEPS names some alone); interrupted, it goes on where it was.
FULL_STEPS ?=
check-full: dependencies
	@packaging/install-dependencies bench
	$(MAKE) all $(HELPERS) $(BENCHES)
	MOSS_BUILD=$(abspath $(BUILD)) MAKE="$(MAKE)" tests/check-full $(FULL_STEPS)

# Engines (podman, containerd, Docker) that use moss-runtime, in Debian guests: images are made once and kept in $(GUESTS).
GUESTS ?= $(BUILD)/guests
GUEST ?= bookworm trixie
SUITE ?=
guests: $(patsubst %,$(GUESTS)/%.img,$(GUEST))
$(GUESTS)/%.img: tests/guests/image tests/guests/customise
	@packaging/install-dependencies guests
	$(call say,GUEST,$*)
	$(Q)tests/guests/image $* $(GUESTS)
check-guests: dependencies
	$(MAKE) guests all
	MOSS_BUILD=$(abspath $(BUILD)) tests/guests/check $(GUESTS) "$(GUEST)" $(SUITE)

demo: dependencies
	$(MAKE) all
	MOSS_BUILD=$(abspath $(BUILD)) tests/demo/demo

bench: dependencies
	@packaging/install-dependencies bench
	$(MAKE) all $(BENCHES) $(HELPERS)
	MOSS_BUILD=$(abspath $(BUILD)) tests/bench/run

# Installs what packaging/dependencies.debian lists and this host lacks; does nothing, and needs no root, where all is there.
dependencies:
	@packaging/install-dependencies

lint:
	@packaging/install-dependencies lint
	packaging/lint

format:
	git ls-files '*.c' '*.h' | xargs clang-format -i

# ---- installation --------------------------------------------------------------------------------------------------------

install: all
	BUILD=$(BUILD) DESTDIR=$(DESTDIR) PREFIX=$(PREFIX) packaging/install
uninstall:
	DESTDIR=$(DESTDIR) PREFIX=$(PREFIX) packaging/uninstall

clean:
	rm -rf build build-sanitize

help:
	@echo 'make                 all programs, in build/'
	@echo 'make demo            an agent with a fault is kept, evolved, swapped, rolled back (FAULT=name picks the fault)'
	@echo 'make check           unit and integration tests (SANITIZE=1: with ASan and UBSan)'
	@echo 'make check-full      the long ones whole: every kill and fault of a swap, the storm, races, leaks, the walk of the protocol (FULL_STEPS=)'
	@echo 'make check-guests    podman, containerd, Docker with MOSS in Debian guests (GUEST=bookworm|trixie, SUITE=podman|containerd…)'
	@echo 'make fuzz            every parser of outside bytes, a minute each, with clang (FUZZ=name, FUZZ_SECONDS=)'
	@echo 'make bench           what containers, trials, held sockets, swaps and agents at rest cost, and the repair table (BENCH=runtimes|trials|sockets|storm|rest|repair)'
	@echo 'make lint            formatting, static analysis, forbidden calls'
	@echo 'make install         DESTDIR=, PREFIX=/usr/local;  make uninstall takes it away'

-include $(shell find $(BUILD)/obj $(BUILD)/obj-init -name '*.d' 2>/dev/null)
