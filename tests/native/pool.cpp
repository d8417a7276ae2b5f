// Every part of the work is done once, by whatever threads there are.
#include "pool.h"

#include <cstdio>
#include <new>
#include <vector>

namespace {

thread_local int number = 0;
int team = 0;

// An OpenMP that gives no more threads than team.
void run(void (*task)(void*), void* data, unsigned threads, unsigned) {
  const int given = static_cast<int>(threads) < team ? static_cast<int>(threads) : team;
  std::vector<std::thread> others;
  for (int i = 1; i < given; ++i)
    others.emplace_back([=] {
      number = i;
      task(data);
    });
  task(data);
  for (std::thread& other : others) other.join();
}

// Each part writes its own slice without locks; a part that is missing, doubled or misnumbered shows.
bool parts_are_right(int threads) {
  constexpr int size = 1000;
  std::vector<int> done(size, 0);
  snn::parallel(threads, [&](int thread, int of) {
    for (int i = size * thread / of; i < size * (thread + 1) / of; ++i) done[i] += of;
  });
  for (int times : done)
    if (times != threads) return false;
  return true;
}

bool nested_parts_are_right() {
  std::vector<int> done(6, 0);
  snn::parallel(2, [&](int outer, int) { snn::parallel(3, [&](int inner, int) { done[3 * outer + inner] += 1; }); });
  for (int times : done)
    if (times != 1) return false;
  return true;
}

// What a part throws arrives once all parts have ended, and the threads go on to work.
bool what_is_thrown_arrives(int threads) {
  std::atomic<int> done{0};
  try {
    snn::parallel(threads, [&](int thread, int of) {
      done += 1;
      if (thread == of - 1) throw std::bad_alloc();
    });
  } catch (const std::bad_alloc&) {
    return done == threads && parts_are_right(threads);
  }
  return false;
}

}  // namespace

int main() {
  bool right = nested_parts_are_right();
  for (int threads = 1; threads <= 5; ++threads) right = right && parts_are_right(threads) && what_is_thrown_arrives(threads);
  snn::pool.run = run;
  snn::pool.number = [] { return number; };
  for (team = 1; team <= 4; ++team)
    for (int threads = 1; threads <= 5; ++threads)
      right = right && parts_are_right(threads) && what_is_thrown_arrives(threads);
  if (!right) std::puts("a part was missing, done twice or misnumbered, or what it threw was lost");
  return right ? 0 : 1;
}
