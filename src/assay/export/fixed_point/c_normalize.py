"""The C function that normalizes an image by itself: see ``normalization.py``."""

from __future__ import annotations

NORM = """
typedef struct {
    const int16_t *factor, *bias;
    uint32_t source, target, epsilon;
    uint32_t alone, pixels;  /* positions that stand alone, and those that are taken together */
    uint16_t channels, group;
    uint8_t reach, scale, bias_shift, shift;
    int16_t low, high;
} model_norm;
"""

NORMALIZE = """
/* Every group of channels with mean 0 and variance 1, times its channels' factors, and their biases. */
MODEL_FUNCTION void model_normalize_{t}(const model_norm *norm, const uint8_t *image, uint8_t *arena) {
    const {T} *x = (const {T} *)model_place(norm->source, image, arena);
    uint8_t *y = arena + norm->target;
    const int channels = norm->channels, group = norm->group, pixels = (int)norm->pixels;
    const int32_t count = pixels * group;
    for (uint32_t a = 0; a < norm->alone; a++, x += pixels * channels, y += pixels * channels)
        for (int first = 0; first < channels; first += group) {
            int32_t sum = 0;
            uint32_t spread = 0;
            const {T} *from = x + first;
            for (int p = 0; p < pixels; p++, from += channels)
                for (int c = 0; c < group; c++) {
                    const int number = from[c], size = number < 0 ? -number : number;
                    sum += number;
                    spread += (uint32_t)MODEL_TIMES_FRACTION(size, size);
                }
            const int32_t mean = sum / count, rest = sum - mean * count, far = rest < 0 ? -rest : rest;
            spread -= (uint32_t)MODEL_TIMES_FRACTION((uint32_t)(sum + rest), (uint32_t)mean);
            uint32_t left = (spread << norm->scale) + norm->epsilon;
            left -= ((uint32_t)MODEL_TIMES_FRACTION(far, far) << norm->scale) / (uint32_t)count;
            if (!left) left = 1;
            int shift = norm->reach;
            for (; left < 0x40000000u; left <<= 2) shift--;
            uint32_t root = 0;
            for (uint32_t bit = 0x40000000u; bit; bit >>= 2) {
                const uint32_t next = root + bit;
                root >>= 1;
                if (left >= next) {
                    left -= next;
                    root += bit;
                }
            }
            const int32_t inverse = (int32_t)(0x80000000u / root), part = (far * 64 + count / 2) / count;
            const int32_t offset = mean * 64 + (rest < 0 ? -part : part);
            const int32_t half = (int32_t)1 << shift >> 1, rounding = (int32_t)1 << (norm->shift - 1);
            from = x + first;
            uint8_t *to = y + first;
            for (int p = 0; p < pixels; p++, from += channels, to += channels)
                for (int c = 0; c < group; c++) {
                    int32_t value = (MODEL_TIMES_FRACTION(from[c] * 64 - offset, inverse) + half) >> shift;
                    value = model_cut(value, -32767, 32767);
                    value = MODEL_TIMES(value, norm->factor[first + c]) + rounding;
                    value += norm->bias[first + c] * (int32_t)(1L << norm->bias_shift);
                    to[c] = (uint8_t)model_cut(value >> norm->shift, norm->low, norm->high);
                }
        }
}
"""
