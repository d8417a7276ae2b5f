// The engine's one translation unit; setup.py compiles it once for each level of instructions.
#include <cstdint>
#include <functional>
#include <thread>

#include "api.h"
#include "cpu.h"
#include "integer_run.h"
#include "pool.h"
#include "train.h"

SNN_API int snn_level() { return snn::compiled_level(); }

SNN_API int snn_cpu_level() { return snn::cpu_level(); }

// Both or neither; with null pointers the work runs on threads of its own.
SNN_API void snn_set_pool(void* gomp_parallel, void* omp_get_thread_num) {
  snn::pool.run = reinterpret_cast<decltype(snn::Pool::run)>(gomp_parallel);
  snn::pool.number = reinterpret_cast<decltype(snn::Pool::number)>(omp_get_thread_num);
}

// who[thread] tells which thread of the process ran that part: equal numbers, equal threads.
SNN_API void snn_threads_check(int threads, std::int64_t* who) {
  snn::parallel(threads, [who](int thread, int) {
    who[thread] = static_cast<std::int64_t>(std::hash<std::thread::id>{}(std::this_thread::get_id()));
  });
}
