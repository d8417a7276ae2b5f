// Instruction sets as levels: 0 portable, 1 AVX2, 2 AVX-512, 3 AMX beside it. setup.py holds the compiler's flags of each.
#pragma once

#if defined(__x86_64__)
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#endif

namespace snn {

// The level that this file is compiled for.
inline int compiled_level() {
#if defined(__AMX_BF16__)
  return 3;
#elif defined(__AVX512VBMI2__)
  return 2;
#elif defined(__AVX2__)
  return 1;
#else
  return 0;
#endif
}

// Whether the processor has a matrix unit and vectors for bfloat16, and the system lets this process use the unit: it
// must be asked, since each thread's state grows by 8 KB.
inline bool has_amx() {
#if defined(__x86_64__) && defined(__linux__)
  unsigned a = 0, b = 0, c = 0, d = 0;
  const unsigned amx = 1u << 22 | 1u << 24, avx512_bf16 = 1u << 5;  // AMX-BF16 and AMX-TILE
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (d & amx) != amx) return false;
  if (!__get_cpuid_count(7, 1, &a, &b, &c, &d) || !(a & avx512_bf16)) return false;
  const long ask_for_state = 0x1023, tiles = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, ask_for_state, tiles) == 0;
#else
  return false;
#endif
}

// The highest level that this processor and its operating system can run.
inline int cpu_level() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  unsigned a = 0, b = 0, c = 0, d = 0;
  // Older compilers know no __builtin_cpu_supports("f16c").
  const bool f16c = __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
  if (!f16c || !__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !__builtin_cpu_supports("bmi") ||
      !__builtin_cpu_supports("bmi2") || !__builtin_cpu_supports("popcnt"))
    return 0;
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                      __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vbmi2") &&
                      __builtin_cpu_supports("avx512vpopcntdq");
  return !avx512 ? 1 : has_amx() ? 3 : 2;
#else
  return 0;
#endif
}

}  // namespace snn
