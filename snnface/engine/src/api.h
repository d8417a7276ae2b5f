// What the libraries export: plain C functions, named snn_*, that take pointers and sizes.
#pragma once

#if defined(_WIN32)
#define SNN_API extern "C" __declspec(dllexport)
#else
#define SNN_API extern "C" __attribute__((visibility("default")))
#endif
