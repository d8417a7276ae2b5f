// Training kernels for callers: a run forward that is kept until its gradients have been taken.
#pragma once
#include <exception>
#include <memory>

#include "api.h"
#include "backward.h"
#include "forward.h"

namespace snn {

// Events of a batch as snnface.batch.EventBatch holds them; `given` (or null): values of ready cells, t being steps.
struct Events {
  const int64_t *t, *x, *y, *p, *offsets;
  const float *given;
};

inline Run *run_forward(const snn_layer *layers, int count, const Events &events, const Coding &coding, int clips,
                        int steps, int threads, bool keeps) {
  std::unique_ptr<Run> run(new Run);
  run->clips = clips, run->steps = steps, run->threads = threads, run->keeps = keeps;
  run->arenas.resize(threads);
  run->blocks = (steps + STEPS - 1) / STEPS;
  run->layers.reserve(count);
  for (int l = 0; l < count; l++)
    run->layers.push_back(make_layer(layers[l], l ? &run->layers[l - 1] : nullptr, keeps, threads));
  for (int l = 0; l + 1 < count; l++)
    if (run->layers[l + 1].filter.size()) run->layers[l].band = FILTER_SIDE;
  for (int l = 0; l < count; l++) {
    const Layer &a = run->layers[l];
    const size_t blocks = size_t(clips) * run->blocks, later = size_t(clips) * (run->blocks - 1);
    Kept kept;
    kept.spikes = Buffer<Word>(blocks * a.positions() * STEPS * a.words());
    if (keeps) {
      kept.u = Buffer<float>(a.current ? later * run->state_size(l) : 0, false);
      kept.v = Buffer<float>(later * run->state_size(l), false);
      kept.lists.resize(blocks * a.is.out_h), kept.near.resize(blocks * a.is.out_h);
    }
    kept.needed = Buffer<int32_t>(size_t(clips) * a.positions(), false);
    kept.before = Buffer<int32_t>(size_t(clips) * (a.positions() + 1), false);
    run->kept.push_back(std::move(kept));
  }
  const Layer &last = run->layers.back();
  run->rates.assign(run->rates_at(count), 0.f);
  if (!last.is.spiking) run->readout.assign(size_t(steps) * clips * last.is.out_c * last.positions(), 0.f);
  run->cells.resize(clips);
  const snn_layer &first = run->layers[0].is;
  parallel(threads, [&](int thread, int n) {
    for (int clip = thread; clip < clips; clip += n) {
      const int64_t at = events.offsets[clip], size = events.offsets[clip + 1] - at;
      run->cells[clip] = make_cells(events.t + at, events.x + at, events.y + at, events.p + at,
                                    events.given ? events.given + at : nullptr, size, coding, first.in_h, steps);
    }
  });
  share_clips(*run);
  forward(*run);
  return run.release();
}

}  // namespace snn

// Runs a batch; returns what snn_backward and snn_spikes want, null where memory is short.
//   rates [layer][clip][out_c] of the spiking layers, one after the other; readout [step][clip][out_c·positions] of a
//   last layer that does not spike, else null. keeps: whether snn_backward will be called.
SNN_API void *snn_forward(const snn_layer *layers, int count, const int64_t *t, const int64_t *x, const int64_t *y,
                          const int64_t *p, const int64_t *offsets, const float *given, int64_t step_us,
                          double tau_us, int mode, int payload_one, int payload_max, int clips, int steps, int threads,
                          int keeps, float *rates, float *readout) {
  try {
    snn::Run *run = snn::run_forward(layers, count, {t, x, y, p, offsets, given},
                                     {step_us, tau_us, mode, payload_one, payload_max}, clips, steps, threads, keeps);
    std::copy_n(run->rates.begin(), run->rates_at(count - !run->layers.back().is.spiking), rates);
    std::copy(run->readout.begin(), run->readout.end(), readout);
    return run;
  } catch (const std::exception &) {
    return nullptr;
  }
}

// Gradients of the weights (each in its layer's own order) and, of layers that learn them, of decays and threshold
// [3][out_c]; from those of the rates and of the readout, as snn_forward gave them. No gradient crosses a step that
// is a multiple of `truncate` (0: all do). Returns 0, or 1 where memory is short.
SNN_API int snn_backward(const void *handle, const float *rates, const float *readout, int truncate,
                         float *const *weight, float *const *learned) {
  try {
    const snn::Run &run = *(const snn::Run *)handle;
    std::vector<snn::Gradients> out;
    for (size_t l = 0; l < run.layers.size(); l++) out.push_back({weight[l], learned[l]});
    snn::backward(run, {readout, rates, truncate}, out);
    return 0;
  } catch (const std::exception &) {
    return 1;
  }
}

// The spikes of one layer as floats [step][clip][out_c][out_h][out_w].
SNN_API void snn_spikes(const void *handle, int layer, float *out) {
  const snn::Run &run = *(const snn::Run *)handle;
  const snn::Layer &a = run.layers[layer];
  const int positions = a.positions(), words = a.words();
  for (int clip = 0; clip < run.clips; clip++)
    for (int block = 0; block < run.blocks; block++) {
      const snn::Word *spikes = run.spikes(layer, clip, block);
      for (int t = 0; t < run.block_steps(block); t++) {
        float *frame = out + (size_t(block * snn::STEPS + t) * run.clips + clip) * a.is.out_c * positions;
        for (int p = 0; p < positions; p++)
          for (int c = 0; c < a.is.out_c; c++)
            frame[size_t(c) * positions + p] =
                spikes[(size_t(p) * snn::STEPS + t) * words + c / snn::GROUP] >> (c % snn::GROUP) & 1;
      }
    }
}

// Bytes that a run keeps for its way back.
SNN_API int64_t snn_bytes(const void *handle) {
  const snn::Run &run = *(const snn::Run *)handle;
  size_t n = 0;
  for (const snn::Kept &k : run.kept)
    n += k.spikes.size() * sizeof(snn::Word) + (k.u.size() + k.v.size()) * sizeof(float) +
         (k.needed.size() + k.before.size()) * 4;
  return int64_t(n) + run.limit - run.left;
}

// Bytes that each later run may keep of what could be computed again; the results are the same.
SNN_API void snn_keep(int64_t bytes) { snn::keep = bytes; }

// Hands memory that waits for the next run back to the system.
SNN_API void snn_trim() { snn::spare().clear(); }

SNN_API void snn_free(void *handle) { delete (snn::Run *)handle; }
