"""Headers compiled for microcontroller cores and run in QEMU's user mode, with their instructions counted."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

ARM = """
static long call(long number, long a, long b, long c) {
    register long r7 __asm__("r7") = number;
    register long r0 __asm__("r0") = a;
    register long r1 __asm__("r1") = b;
    register long r2 __asm__("r2") = c;
    __asm__ volatile("svc 0" : "+r"(r0) : "r"(r7), "r"(r1), "r"(r2) : "memory");
    return r0;
}
#define READ 3
#define WRITE 4
#define EXIT 1
"""
# With half of the registers, the call's number is in t0.
RISCV = """
static long call(long number, long a, long b, long c) {
    register long t0 __asm__("t0") = number;
    register long a0 __asm__("a0") = a;
    register long a1 __asm__("a1") = b;
    register long a2 __asm__("a2") = c;
    __asm__ volatile("ecall" : "+r"(a0) : "r"(t0), "r"(a1), "r"(a2) : "memory");
    return a0;
}
#define READ 63
#define WRITE 64
#define EXIT 93
__asm__(
    ".globl _start\\n_start:\\n"
    ".option push\\n.option norelax\\nla gp, __global_pointer$\\n.option pop\\n"
    "j begin\\n");
"""
MAIN = """
#include "model.h"
static uint8_t image[MODEL_HEIGHT * MODEL_WIDTH * MODEL_CHANNELS], arena[MODEL_ARENA];
static int16_t logits[MODEL_CLASSES];
static int all(long (*move)(char *, long), char *place, long size) {
    while (size > 0) {
        long done = move(place, size);
        if (done <= 0) return 0;
        place += done;
        size -= done;
    }
    return 1;
}
static long get(char *place, long size) { return call(READ, 0, (long)place, size); }
static long put(char *place, long size) { return call(WRITE, 1, (long)place, size); }
void *memset(void *to, int value, unsigned long size) {
    for (char *end = (char *)to + size, *at = to; at < end; at++) *(volatile char *)at = (char)value;
    return to;
}
void *memcpy(void *to, const void *from, unsigned long size) {
    for (unsigned long k = 0; k < size; k++) ((volatile char *)to)[k] = ((const char *)from)[k];
    return to;
}
void begin(void) {
    while (all(get, (char *)image, sizeof image)) {
        model_classify(image, arena, logits);
        all(put, (char *)logits, sizeof logits);
    }
    call(EXIT, 0, 0, 0);
    for (;;) {}
}
"""
# QEMU's interface for plugins, as far as it takes to count instructions.
PLUGIN = """
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
typedef uint64_t id_t_;
extern void qemu_plugin_register_vcpu_tb_trans_cb(id_t_, void (*)(id_t_, void *));
extern size_t qemu_plugin_tb_n_insns(const void *);
extern void *qemu_plugin_tb_get_insn(const void *, size_t);
extern void qemu_plugin_register_vcpu_insn_exec_inline(void *, int, void *, uint64_t);
extern void qemu_plugin_register_atexit_cb(id_t_, void (*)(id_t_, void *), void *);
__attribute__((visibility("default"))) int qemu_plugin_version = 1;
static uint64_t count;
static void translated(id_t_ id, void *block) {
    (void)id;
    for (size_t k = 0; k < qemu_plugin_tb_n_insns(block); k++)
        qemu_plugin_register_vcpu_insn_exec_inline(qemu_plugin_tb_get_insn(block, k), 0, &count, 1);
}
static void ends(id_t_ id, void *data) {
    (void)id;
    (void)data;
    fprintf(stderr, "instructions %llu\\n", (unsigned long long)count);
}
__attribute__((visibility("default"))) int qemu_plugin_install(id_t_ id, const void *info, int argc, char **argv) {
    (void)info;
    (void)argc;
    (void)argv;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, ends, NULL);
    return 0;
}
"""
STRICT = ("-std=c99", "-Wall", "-Wextra", "-Werror")


@dataclass(frozen=True)
class Target:
    """A core in the emulator.

    Args:
        compiler: Its cross compiler.
        flags: What selects the core.
        emulator: QEMU's user mode for it.
        runtime: System calls in C.
        entry: Where the program begins.
    """

    compiler: str
    flags: tuple[str, ...]
    emulator: str
    runtime: str
    entry: str = "begin"

    @property
    def missing(self) -> list[str]:
        """The programs that are not installed here."""
        return [name for name in (self.compiler, self.emulator, "gcc") if shutil.which(name) is None]


_ARM = ("arm-none-eabi-gcc", "qemu-arm")
TARGETS = {
    "cortex-m0+": Target(_ARM[0], ("-mcpu=cortex-m0plus", "-mthumb"), _ARM[1], ARM),
    "cortex-m4": Target(_ARM[0], ("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=soft"), _ARM[1], ARM),
    "cortex-m7": Target(_ARM[0], ("-mcpu=cortex-m7", "-mthumb", "-mfloat-abi=soft"), _ARM[1], ARM),
    "rv32ec": Target("riscv64-unknown-elf-gcc", ("-march=rv32ec", "-mabi=ilp32e"), "qemu-riscv32", RISCV, "_start"),
}


def target_of(core: str) -> Target:
    """A core's target; the test is skipped where its programs are missing."""
    target = TARGETS[core]
    if target.missing:
        pytest.skip(f"not installed here: {', '.join(target.missing)}")
    return target


def built(target: Target, header: str, folder: Path) -> Path:
    """A header as a program that turns images into logits."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.h").write_text(header)
    (folder / "main.c").write_text(target.runtime + MAIN)
    flags = [
        *STRICT,
        "-O2",
        "-ffreestanding",
        "-nostdlib",
        *target.flags,
        "-Wl,-Ttext=0x10000",
        f"-Wl,-e,{target.entry}",
        "-Wl,--no-warn-rwx-segments",
    ]
    command = [target.compiler, *flags, "main.c", "-o", "program", "-lgcc"]
    subprocess.run(command, cwd=folder, check=True, timeout=60)
    return folder / "program"


def plugin(folder: Path) -> Path:
    """The plugin that counts instructions."""
    path = folder / "count.so"
    if not path.exists():
        (folder / "count.c").write_text(PLUGIN)
        flags = ["-shared", "-fPIC", "-O1", "-fvisibility=hidden"]
        subprocess.run(["gcc", *flags, "count.c", "-o", "count.so"], cwd=folder, check=True, timeout=60)
    return path


def answers(target: Target, program: Path, images: NDArray[np.uint8]) -> NDArray[np.int16]:
    """Logits [n, classes] of images."""
    done = subprocess.run(
        [target.emulator, program], input=images.tobytes(), capture_output=True, check=True, timeout=120
    )
    return np.frombuffer(done.stdout, np.int16).reshape(len(images), -1)


def instructions(target: Target, program: Path, images: NDArray[np.uint8], folder: Path) -> float:
    """The mean number of instructions for an image: that of all, less that of none."""
    counts = []
    for content in (b"", images.tobytes()):
        command = [target.emulator, "-plugin", str(plugin(folder)), program]
        done = subprocess.run(command, input=content, capture_output=True, check=True, timeout=120)
        match = re.search(rb"instructions (\d+)", done.stderr)
        assert match is not None, done.stderr
        counts.append(int(match[1]))
    return (counts[1] - counts[0]) / len(images)
