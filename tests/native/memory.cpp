// Arrays: zeros, room to grow, and blocks that wait for the next run and go back to the system when asked.
#include "memory.h"

#include "check.h"

namespace {

constexpr size_t LARGE = snn::Spare::LARGE / sizeof(float);

void blocks_wait_and_come_back_as_zeros() {
  snn::spare().clear();
  const float *before;
  {
    snn::Buffer<float> first(2 * LARGE);
    before = first.get();
    for (size_t i = 0; i < first.size(); i++) first[i] = 1;
    CHECK(snn::spare().held() == 0);
  }
  CHECK((snn::spare().held() > 0) == snn::SHARES);
  snn::Buffer<float> again(2 * LARGE);
  CHECK((again.get() == before) || !snn::SHARES);
  for (size_t i = 0; i < again.size(); i++) CHECK(again[i] == 0);
  again = snn::Buffer<float>();
  snn::spare().clear();
  CHECK(snn::spare().held() == 0);
}

void no_more_waits_than_the_limit() {
  {
    std::vector<snn::Buffer<char>> all;
    for (int i = 0; i < 5; i++) all.emplace_back(snn::Spare::MOST / 4 + 1, false);
  }
  CHECK(snn::spare().held() <= snn::Spare::MOST);
  snn::spare().clear();
}

void a_small_request_does_not_take_a_large_block() {
  { snn::Buffer<float> large(8 * LARGE); }
  const size_t held = snn::spare().held();
  snn::Buffer<float> small(LARGE);
  CHECK(snn::spare().held() == held);
}

void what_grows_keeps_its_numbers() {
  snn::Buffer<int> numbers;
  for (int i = 0; i < 100000; i++) numbers.grow(i + 1), numbers[i] = i;
  for (int i = 0; i < 100000; i++) CHECK(numbers[i] == i);
}

void copies_lie_side_by_side_and_stay() {
  snn::Arena arena;
  std::vector<snn::Buffer<int>> copies;
  for (int n : {0, 1, 1000, 300000, 7}) {
    snn::Buffer<int> from(n + 1);
    for (int i = 0; i < n; i++) from[i] = n + i;
    copies.push_back(arena.copy(from, n));
    CHECK(copies.back().size() == size_t(n));
  }
  for (const auto &c : copies)
    for (size_t i = 0; i < c.size(); i++) CHECK(c[i] == int(c.size() + i));
}

}  // namespace

int main() {
  blocks_wait_and_come_back_as_zeros();
  no_more_waits_than_the_limit();
  a_small_request_does_not_take_a_large_block();
  what_grows_keeps_its_numbers();
  copies_lie_side_by_side_and_stay();
  return 0;
}
