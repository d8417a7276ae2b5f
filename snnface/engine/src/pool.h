// Work on several threads, those that torch already has where its OpenMP pool is known.
#pragma once

#include <atomic>
#include <exception>
#include <system_error>
#include <thread>
#include <vector>

namespace snn {

// OpenMP's own entry points, as compilers call them: found in the library that torch loaded, never linked, since a
// second OpenMP would bring a second set of threads.
struct Pool {
  void (*run)(void (*task)(void*), void* data, unsigned threads, unsigned flags) = nullptr;
  int (*number)() = nullptr;
};
inline Pool pool;

// The handing out itself; f must not throw.
template <class F>
void hand_out(int threads, F& f) {
  if (pool.run) {
    struct Job {
      F& f;
      int threads;
      std::atomic<int> arrived;
    } job{f, threads, {0}};
    pool.run(
        [](void* data) {
          Job& job = *static_cast<Job*>(data);
          job.arrived.fetch_add(1, std::memory_order_relaxed);
          job.f(pool.number(), job.threads);
        },
        &job, static_cast<unsigned>(threads), 0);
    // A team of n threads is numbered 0 … n − 1.
    for (int thread = job.arrived; thread < threads; ++thread) f(thread, threads);
    return;
  }
  std::vector<std::thread> others;
  others.reserve(static_cast<std::size_t>(threads - 1));
  int thread = 1;
  try {
    for (; thread < threads; ++thread) others.emplace_back([&f, thread, threads] { f(thread, threads); });
  } catch (const std::system_error&) {  // no more threads to be had: the rest is done here
    for (; thread < threads; ++thread) f(thread, threads);
  }
  f(0, threads);
  for (std::thread& other : others) other.join();
}

// Runs task(thread, threads) once for each thread in [0, threads) and returns when all are done; what one of them throws
// (memory may run out) is thrown then. A task must not wait for another thread: OpenMP may give fewer threads than asked
// for, inside another region only one.
template <class F>
void parallel(int threads, F task) {
  if (threads <= 1) return task(0, 1);
  std::exception_ptr thrown;
  std::atomic_flag caught = ATOMIC_FLAG_INIT;
  // Neither OpenMP nor a thread of its own may be left by an exception.
  auto f = [&](int thread, int of) noexcept {
    try {
      task(thread, of);
    } catch (...) {
      if (!caught.test_and_set()) thrown = std::current_exception();
    }
  };
  hand_out(threads, f);
  if (thrown) std::rethrow_exception(thrown);
}

}  // namespace snn
