// Instruction sets as levels: 0 portable, 1 AVX2, 2 AVX-512. setup.py holds the compiler's flags of each.
#pragma once

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace snn {

// The level that this file is compiled for.
inline int compiled_level() {
#if defined(__AVX512VBMI2__)
  return 2;
#elif defined(__AVX2__)
  return 1;
#else
  return 0;
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
  return avx512 ? 2 : 1;
#else
  return 0;
#endif
}

}  // namespace snn
