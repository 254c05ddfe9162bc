"""The C functions of fixed-point programs, of which a header holds those that it calls.

``{T}`` is the type of the numbers that are read, ``{t}`` its short name. C99 leaves it to compilers what ``>>`` does
below zero: all that have these cores as targets shift the sign in, which is assumed here.
"""

from __future__ import annotations

COMMON = """
/* One copy of each function, whatever it is called with: less flash, and a time that can be estimated. */
#if defined(__GNUC__) && !defined(__clang__)
#define MODEL_FUNCTION static __attribute__((noinline, noclone))
#else
#define MODEL_FUNCTION static
#endif

typedef struct {
    const uint8_t *kernel;  /* packed */
    const int16_t *bias;    /* may be 0 */
    const uint16_t *factor;
    uint32_t source, target, scratch, positions;
    uint16_t height, width, channels, rows, columns, outputs;
    uint16_t kernel_height, kernel_width, stride, dilation, top, left;
    uint16_t inputs, group;  /* of one output; outputs of a group */
    uint8_t bias_shift, coding;
    int16_t low, high;
} model_layer;

#define MODEL_FROM_IMAGE 0xffffffffu

static inline const uint8_t *model_place(uint32_t place, const uint8_t *image, const uint8_t *arena) {
    return place == MODEL_FROM_IMAGE ? image : arena + place;
}

/* A product. Cores without an instruction for it add shifted numbers, as many as the second factor has bits. */
#if defined(__riscv) && !defined(__riscv_mul)
MODEL_FUNCTION int32_t model_product(int32_t number, uint32_t by) {
    uint32_t sum = 0, shifted = (uint32_t)number;
    for (; by; by >>= 1, shifted <<= 1)
        if (by & 1) sum += shifted;
    return (int32_t)sum;
}
#define MODEL_TIMES(number, weight) \\
    ((weight) < 0 ? -model_product(number, (uint32_t)-(weight)) : model_product(number, (uint32_t)(weight)))
#define MODEL_TIMES_FRACTION(number, fraction) model_product(number, (uint32_t)(fraction))
#else
#define MODEL_TIMES(number, weight) ((int32_t)(number) * (weight))
#define MODEL_TIMES_FRACTION(number, fraction) ((number) * (fraction))
#endif

static inline int32_t model_cut(int32_t value, int32_t low, int32_t high) {
    return value < low ? low : value > high ? high : value;
}

static inline int32_t model_bias(const model_layer *layer, int output) {
    return layer->bias ? layer->bias[output] * (int32_t)(1L << layer->bias_shift) : 0;
}

/* A sum times the output's factor, halves up, cut: room is the most that the product may be shifted. */
static inline int32_t model_scaled(const model_layer *layer, int output, int32_t sum, int room) {
    const int factor = layer->factor[output];
    int shift = (factor >> 11) + 8;
    if (shift > room) {
        sum >>= shift - room;
        shift = room;
    }
    sum = model_cut(sum, -262144, 262144);
    sum = (MODEL_TIMES_FRACTION(sum, 2048 + (factor & 2047)) + ((int32_t)1 << (shift - 1))) >> shift;
    return model_cut(sum, layer->low, layer->high);
}
"""

UNPACK = """
typedef struct {
    const uint8_t *next;
    uint32_t code;
    int left;
} model_cursor;

/* The next weights of a layer as bytes: 2 are 4 bits, 4 are 2 bits, 5 are one of three levels. */
MODEL_FUNCTION void model_unpack(const model_layer *layer, model_cursor *cursor, int8_t *to, int count) {
    const int coding = layer->coding;
    uint32_t code = cursor->code;
    int left = cursor->left;
    for (int k = 0; k < count; k++) {
        if (!left) {
            code = *cursor->next++;
            left = coding;
        }
        left--;
        if (coding == 2) {
            to[k] = (int8_t)((int)(code & 15) - 8);
            code >>= 4;
        } else if (coding == 4) {
            to[k] = (int8_t)((int)(code & 3) * 2 - 3);
            code >>= 2;
        } else {
            const uint32_t third = code * 171 >> 9;
            to[k] = (int8_t)((int)(code - third * 3) - 1);
            code = third;
        }
    }
    cursor->code = code;
    cursor->left = left;
}
"""

DOT = """
static inline int32_t model_dot_{t}(const {T} *x, const int8_t *weights, int count, int32_t sum) {
    for (int k = 0; k < count; k++) sum += MODEL_TIMES(x[k], weights[k]);
    return sum;
}
"""

DENSE = """
/* Every output from all numbers of each position. */
MODEL_FUNCTION void model_dense_{t}(const model_layer *layer, const uint8_t *image, uint8_t *arena, int16_t *logits) {
    const {T} *x = (const {T} *)model_place(layer->source, image, arena);
    const int8_t *kernel = (const int8_t *)layer->kernel;
    const int inputs = layer->inputs, outputs = layer->outputs, positions = (int)layer->positions;
    for (int output = 0; output < outputs; output++, kernel += inputs) {
        const int32_t bias = model_bias(layer, output);
        const {T} *from = x;
        uint8_t *to = arena + layer->target + output;
        for (int p = 0; p < positions; p++, from += inputs, to += outputs) {
            const int32_t sum = model_dot_{t}(from, kernel, inputs, bias);
            if (logits) logits[output] = (int16_t)model_scaled(layer, output, sum, 14);
            else *to = (uint8_t)model_scaled(layer, output, sum, 21);
        }
    }
}
"""

DENSE_PACKED = """
/* The same of packed weights: of one position part by part, of several unpacked once. */
MODEL_FUNCTION void model_dense_packed_{t}(const model_layer *layer, const uint8_t *image, uint8_t *arena,
                                           int16_t *logits) {
    const {T} *x = (const {T} *)model_place(layer->source, image, arena);
    int8_t *weights = (int8_t *)arena + layer->scratch;
    model_cursor cursor = {layer->kernel, 0, 0};
    const int inputs = layer->inputs, outputs = layer->outputs, positions = (int)layer->positions;
    for (int output = 0; output < outputs; output++) {
        const int32_t bias = model_bias(layer, output);
        const {T} *from = x;
        uint8_t *to = arena + layer->target + output;
        if (positions > 1) model_unpack(layer, &cursor, weights, inputs);
        for (int p = 0; p < positions; p++, from += inputs, to += outputs) {
            int32_t sum = bias;
            if (positions > 1) sum = model_dot_{t}(from, weights, inputs, sum);
            else
                for (int start = 0; start < inputs; start += 64) {
                    const int count = inputs - start < 64 ? inputs - start : 64;
                    model_unpack(layer, &cursor, weights, count);
                    sum = model_dot_{t}(from + start, weights, count, sum);
                }
            if (logits) logits[output] = (int16_t)model_scaled(layer, output, sum, 14);
            else *to = (uint8_t)model_scaled(layer, output, sum, 21);
        }
    }
}
"""

# What begins a function for packed weights or bytes, and what gives the kernel of the next output.
BYTES = (
    "    const int8_t *kernel = (const int8_t *)layer->kernel;\n",
    "",
    "        kernel += taps;\n",
    "",
)
PACKED = (
    "    int8_t *kernel = (int8_t *)arena + layer->scratch;\n    model_cursor cursor = {layer->kernel, 0, 0};\n",
    "        model_unpack(layer, &cursor, kernel, taps);\n",
    "",
    "_packed",
)

CONV = """
/* Windows: the taps of one row, with all their channels, lie side by side. */
MODEL_FUNCTION void model_conv{packed}_{t}(const model_layer *layer, const uint8_t *image, uint8_t *arena) {
    const {T} *x = (const {T} *)model_place(layer->source, image, arena);
    const int height = layer->height, width = layer->width, channels = layer->channels, outputs = layer->outputs;
    const int stride = layer->stride, tall = layer->kernel_height, wide = layer->kernel_width;
    const int line = width * channels, tap_line = wide * channels, taps = tall * tap_line, step = stride * channels;
{begin}    for (int output = 0; output < outputs; output++) {
        const int32_t bias = model_bias(layer, output);
        uint8_t *to = arena + layer->target + output;
{before}        for (int i = 0, top = -layer->top; i < layer->rows; i++, top += stride) {
            const int first = top < 0 ? -top : 0, last = top + tall > height ? height - top : tall;
            const int8_t *rows = kernel + first * tap_line;
            int place = (top + first) * line - layer->left * channels;
            for (int j = 0, left = -layer->left; j < layer->columns; j++, left += stride, place += step) {
                int from = place, run = tap_line, skipped = 0;
                if (left < 0) {
                    skipped = -left * channels;
                    from += skipped;
                    run -= skipped;
                }
                if (left + wide > width) run -= (left + wide - width) * channels;
                int32_t sum = bias;
                const int8_t *by = rows + skipped;
                for (int u = first; u < last; u++, from += line, by += tap_line)
                    sum = model_dot_{t}(x + from, by, run, sum);
                *to = (uint8_t)model_scaled(layer, output, sum, 21);
                to += outputs;
            }
        }
{after}    }
}
"""

DEPTHWISE = """
/* Windows of one channel for each output. */
MODEL_FUNCTION void model_depthwise{packed}_{t}(const model_layer *layer, const uint8_t *image, uint8_t *arena) {
    const {T} *x = (const {T} *)model_place(layer->source, image, arena);
    const int height = layer->height, width = layer->width, channels = layer->channels, outputs = layer->outputs;
    const int stride = layer->stride, tall = layer->kernel_height, wide = layer->kernel_width;
    const int line = width * channels, taps = tall * wide, step = stride * channels;
    int member = 0;
{begin}    for (int output = 0; output < outputs; output++) {
        const int32_t bias = model_bias(layer, output);
        uint8_t *to = arena + layer->target + output;
{before}        for (int i = 0, top = -layer->top; i < layer->rows; i++, top += stride) {
            const int first = top < 0 ? -top : 0, last = top + tall > height ? height - top : tall;
            const int8_t *rows = kernel + first * wide;
            int place = (top + first) * line - layer->left * channels;
            for (int j = 0, left = -layer->left; j < layer->columns; j++, left += stride, place += step) {
                int from = place, run = wide, skipped = 0;
                if (left < 0) {
                    skipped = -left;
                    from += skipped * channels;
                    run -= skipped;
                }
                if (left + wide > width) run -= left + wide - width;
                int32_t sum = bias;
                const int8_t *by = rows + skipped;
                for (int u = first; u < last; u++, from += line, by += wide)
                    for (int v = 0, at = from; v < run; v++, at += channels) sum += MODEL_TIMES(x[at], by[v]);
                *to = (uint8_t)model_scaled(layer, output, sum, 21);
                to += outputs;
            }
        }
        if (++member == layer->group) {
            member = 0;
            x++;
        }
{after}    }
}
"""

GROUPED = """
/* Windows of a group's channels, or with holes in them. */
MODEL_FUNCTION void model_grouped{packed}_{t}(const model_layer *layer, const uint8_t *image, uint8_t *arena) {
    const {T} *x = (const {T} *)model_place(layer->source, image, arena);
    const int height = layer->height, width = layer->width, channels = layer->channels, outputs = layer->outputs;
    const int inputs = layer->inputs, tall = layer->kernel_height, wide = layer->kernel_width;
    const int taps = tall * wide * inputs;
    int member = 0;
{begin}    for (int output = 0; output < outputs; output++) {
        const int32_t bias = model_bias(layer, output);
        uint8_t *to = arena + layer->target + output;
{before}        for (int i = 0; i < layer->rows; i++)
            for (int j = 0; j < layer->columns; j++) {
                int32_t sum = bias;
                for (int u = 0; u < tall; u++) {
                    const int row = i * layer->stride + u * layer->dilation - layer->top;
                    if (row < 0 || row >= height) continue;
                    for (int v = 0; v < wide; v++) {
                        const int column = j * layer->stride + v * layer->dilation - layer->left;
                        if (column < 0 || column >= width) continue;
                        sum = model_dot_{t}(x + (row * width + column) * channels, kernel + (u * wide + v) * inputs,
                                            inputs, sum);
                    }
                }
                *to = (uint8_t)model_scaled(layer, output, sum, 21);
                to += outputs;
            }
        if (++member == layer->group) {
            member = 0;
            x += inputs;
        }
{after}    }
}
"""

_POOL_HEAD = """
typedef struct {
    uint32_t source, target;
    uint16_t height, width, channels, rows, columns, tall, wide, stride, top, left, multiplier;
    uint8_t shift;
    int16_t low, high;
} model_pool;
"""

POOL = _POOL_HEAD

MAXIMUM = """
MODEL_FUNCTION void model_maximum_{t}(const model_pool *pool, const uint8_t *image, uint8_t *arena) {
    const {T} *x = (const {T} *)model_place(pool->source, image, arena);
    uint8_t *to = arena + pool->target;
    const int height = pool->height, width = pool->width, channels = pool->channels, line = width * channels;
    for (int i = 0, top = -pool->top; i < pool->rows; i++, top += pool->stride) {
        const int first = top < 0 ? 0 : top, last = top + pool->tall > height ? height : top + pool->tall;
        for (int j = 0, left = -pool->left; j < pool->columns; j++, left += pool->stride) {
            const int begin = left < 0 ? 0 : left, end = left + pool->wide > width ? width : left + pool->wide;
            const {T} *from = x + first * line + begin * channels;
            for (int c = 0; c < channels; c++, from++) {
                const {T} *row = from;
                {T} most = *from;
                for (int u = first; u < last; u++, row += line) {
                    const {T} *at = row;
                    for (int v = begin; v < end; v++, at += channels)
                        if (*at > most) most = *at;
                }
                *to++ = (uint8_t)most;
            }
        }
    }
}
"""

MEAN = """
MODEL_FUNCTION void model_mean_{t}(const model_pool *pool, const uint8_t *image, uint8_t *arena) {
    const {T} *x = (const {T} *)model_place(pool->source, image, arena);
    uint8_t *to = arena + pool->target;
    const int height = pool->height, width = pool->width, channels = pool->channels, line = width * channels;
    const int full = pool->tall * pool->wide;
    for (int i = 0, top = -pool->top; i < pool->rows; i++, top += pool->stride) {
        const int first = top < 0 ? 0 : top, last = top + pool->tall > height ? height : top + pool->tall;
        for (int j = 0, left = -pool->left; j < pool->columns; j++, left += pool->stride) {
            const int begin = left < 0 ? 0 : left, end = left + pool->wide > width ? width : left + pool->wide;
            const int count = (last - first) * (end - begin);
            int32_t multiplier = pool->multiplier;
            if (count != full) multiplier = multiplier * full / count;
            const {T} *from = x + first * line + begin * channels;
            for (int c = 0; c < channels; c++, from++) {
                const {T} *row = from;
                int32_t sum = 0;
                for (int u = first; u < last; u++, row += line) {
                    const {T} *at = row;
                    for (int v = begin; v < end; v++, at += channels) sum += *at;
                }
                sum = (MODEL_TIMES_FRACTION(sum, multiplier) + ((int32_t)1 << (pool->shift - 1))) >> pool->shift;
                *to++ = (uint8_t)model_cut(sum, pool->low, pool->high);
            }
        }
    }
}
"""

JOIN = """
typedef struct {
    const uint32_t *source;
    const int16_t *multiplier;
    const uint16_t *channels;
    const uint8_t *is_signed;
    uint32_t target, count;  /* count: values of a sum, positions of a concatenation */
    uint16_t sources, outputs;
    uint8_t shift;
    int16_t low, high;
} model_join;

static inline int32_t model_number(uint8_t byte, int is_signed) {
    return is_signed ? (int8_t)byte : byte;
}
"""

ADD = """
MODEL_FUNCTION void model_add(const model_join *join, const uint8_t *image, uint8_t *arena) {
    for (uint32_t k = 0; k < join->count; k++) {
        int32_t sum = (int32_t)1 << (join->shift - 1);
        for (int s = 0; s < join->sources; s++) {
            const uint8_t *x = model_place(join->source[s], image, arena);
            sum += MODEL_TIMES_FRACTION(model_number(x[k], join->is_signed[s]), join->multiplier[s]);
        }
        arena[join->target + k] = (uint8_t)model_cut(sum >> join->shift, join->low, join->high);
    }
}
"""

CONCATENATE = """
MODEL_FUNCTION void model_concatenate(const model_join *join, const uint8_t *image, uint8_t *arena) {
    uint8_t *column = arena + join->target;
    for (int s = 0; s < join->sources; column += join->channels[s], s++) {
        const uint8_t *x = model_place(join->source[s], image, arena);
        uint8_t *to = column;
        for (uint32_t p = 0; p < join->count; p++, to += join->outputs)
            for (int c = 0; c < join->channels[s]; c++) {
                const int32_t number = model_number(*x++, join->is_signed[s]);
                const int32_t product = MODEL_TIMES_FRACTION(number, join->multiplier[s]);
                const int32_t sum = product + ((int32_t)1 << (join->shift - 1));
                to[c] = (uint8_t)model_cut(sum >> join->shift, join->low, join->high);
            }
    }
}
"""

PAD = """
MODEL_FUNCTION void model_pad(const uint8_t *x, uint8_t *y, int height, int line, int top, int left, int padded_line,
                      int padded_size) {
    for (int k = 0; k < padded_size; k++) y[k] = 0;
    y += top * padded_line + left;
    for (int i = 0; i < height; i++, x += line, y += padded_line)
        for (int k = 0; k < line; k++) y[k] = x[k];
}
"""

TABLE = """
MODEL_FUNCTION void model_table(const uint8_t *x, uint8_t *y, int count, const uint8_t *table) {
    for (int k = 0; k < count; k++) y[k] = table[x[k]];
}
"""

ELU = """
MODEL_FUNCTION void model_elu(const uint8_t *x, uint8_t *y, int count, const uint8_t *table, int last, int shift) {
    for (int k = 0; k < count; k++) {
        const int number = (int8_t)x[k];
        if (number >= 0) {
            y[k] = x[k];
            continue;
        }
        const int at = -number * (1 << shift);
        y[k] = (uint8_t)-((table[at > last ? last : at] + (1 << shift >> 1)) >> shift);
    }
}
"""

SLOPE = """
MODEL_FUNCTION void model_slope(const uint8_t *x, uint8_t *y, int count, const int16_t *slopes, int period) {
    for (int k = 0, at = 0; k < count; k++) {
        const int number = (int8_t)x[k];
        y[k] = x[k];
        if (number < 0) y[k] = (uint8_t)model_cut((number * (int32_t)slopes[at] + 8192) >> 14, -128, 127);
        if (++at == period) at = 0;
    }
}
"""

CUT = """
MODEL_FUNCTION void model_cut_all(const uint8_t *x, uint8_t *y, int count, int is_signed, int most) {
    for (int k = 0; k < count; k++) {
        const int number = is_signed ? (int8_t)x[k] : x[k];
        y[k] = (uint8_t)(number < 0 ? 0 : number > most ? most : number);
    }
}
"""
