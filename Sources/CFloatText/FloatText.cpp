#include "CFloatText.h"

#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>

namespace {

char *put(char *text, const char *word) {
  size_t length = std::strlen(word);
  std::memcpy(text, word, length);
  return text + length;
}

// NaN by its bits: `usual` is the one that arithmetic makes.
char *put_nan(char *text, uint64_t bits, uint64_t usual, int digits) {
  if (bits == usual) return put(text, "\"NaN\"");
  static const char hex[] = "0123456789abcdef";
  text = put(text, "\"NaN(0x");
  for (int i = digits - 1; i >= 0; --i) *text++ = hex[(bits >> (4 * i)) & 15];
  return put(text, ")\"");
}

template <typename Number>
char *put_number(char *text, Number value) {
  if (std::isinf(value)) return put(text, value < 0 ? "\"-Infinity\"" : "\"Infinity\"");
  char *begin = text;
  text = std::to_chars(text, text + FLOAT_TEXT_ROOM, value).ptr;
  // "1" would be read as an integer by others, and "-0" lose its sign. What is no whole number has a point or an exponent.
  if (value != std::trunc(value)) return text;
  for (char *c = begin; c != text; ++c) {
    if (*c == '.' || *c == 'e') return text;
  }
  *text++ = '.';
  *text++ = '0';
  return text;
}

template <typename Number, typename Bits>
size_t write_all(const void *values, size_t count, char *text, Bits usual) {
  char *at = text;
  for (size_t i = 0; i < count; ++i) {
    if (i) *at++ = ',';
    Number value;
    std::memcpy(&value, static_cast<const char *>(values) + i * sizeof value, sizeof value);
    if (std::isnan(value)) {
      Bits bits;
      std::memcpy(&bits, &value, sizeof bits);
      at = put_nan(at, bits, usual, 2 * sizeof bits);
    } else {
      at = put_number(at, value);
    }
  }
  return at - text;
}

float float_of_half(uint16_t bits) {
  uint32_t sign = uint32_t(bits & 0x8000) << 16, exponent = (bits >> 10) & 31, fraction = bits & 0x3ff;
  float magnitude;
  if (exponent == 0) {
    magnitude = std::ldexp(float(fraction), -24);
  } else if (exponent == 31) {
    magnitude = std::numeric_limits<float>::infinity();
  } else {
    magnitude = std::ldexp(float(fraction | 0x400), int(exponent) - 25);
  }
  return sign ? -magnitude : magnitude;
}

template <typename Convert>
size_t write_halves(const void *values, size_t count, char *text, uint16_t infinity, uint16_t usual, Convert convert) {
  char *at = text;
  for (size_t i = 0; i < count; ++i) {
    if (i) *at++ = ',';
    uint16_t bits;
    std::memcpy(&bits, static_cast<const char *>(values) + 2 * i, 2);
    at = (bits & 0x7fff) > infinity ? put_nan(at, bits, usual, 4) : put_number(at, convert(bits));
  }
  return at - text;
}

template <typename Number>
size_t read(const char *text, size_t count, Number *value) {
  auto result = std::from_chars(text, text + count, *value);
  if (result.ec == std::errc::invalid_argument) return 0;
  if (result.ec == std::errc::result_out_of_range) {
    // Too large or too small: an exponent or many digits decide; long double has room for what Float and Double lack.
    long double wide = 0;
    auto again = std::from_chars(text, text + count, wide);
    bool large = again.ec != std::errc() || std::fabs(wide) > 1;
    *value = large ? std::numeric_limits<Number>::infinity() : Number(0);
    if (*text == '-') *value = -*value;
  }
  return result.ptr - text;
}

}  // namespace

size_t float_text_write(const void *values, size_t count, char *text) { return write_all<float, uint32_t>(values, count, text, 0x7fc00000u); }

size_t double_text_write(const void *values, size_t count, char *text) {
  return write_all<double, uint64_t>(values, count, text, 0x7ff8000000000000u);
}

size_t half_text_write(const void *values, size_t count, char *text) {
  return write_halves(values, count, text, 0x7c00, 0x7e00, float_of_half);
}

size_t bfloat16_text_write(const void *values, size_t count, char *text) {
  return write_halves(values, count, text, 0x7f80, 0x7fc0, [](uint16_t bits) {
    uint32_t wide = uint32_t(bits) << 16;
    float value;
    std::memcpy(&value, &wide, 4);
    return value;
  });
}

size_t float_text_read(const char *text, size_t count, float *value) { return read(text, count, value); }

size_t double_text_read(const char *text, size_t count, double *value) { return read(text, count, value); }
