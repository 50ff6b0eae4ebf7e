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

const double power[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12};

const char pairs[] =
    "00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748495051525354555657585960616263646566"
    "676869707172737475767778798081828384858687888990919293949596979899";

// The shortest text of a float from 0.0001 to 1 with 7 to 9 digits: what embeddings are made of. Faster than to_chars, which says the
// same of every such float (a test compares them).
//
// A decimal of so many digits stands for the float if it lies nearer to it than half the way to the float's neighbours; 9 digits always do.
// All that is computed in double, whose error (below 2e-7 in units of the last digit) is far smaller than what is decided: where it comes
// near, this gives up. How many digits there are, and the sign, cannot be foretold: so nothing branches on them.
// Returns NULL where it gives up, or the float is not of that kind.
char *put_usual(char *text, float value) {
  const double margin = 1e-6;
  double size = std::fabs(double(value));
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  // Behind a power of two the neighbour below is nearer than the one above.
  if (!(size >= 1e-4 && size < 1) || (bits & 0x7fffff) == 0) return nullptr;
  int zeros = (size < 1e-1) + (size < 1e-2) + (size < 1e-3);  // behind the point
  // Half the way to either neighbour: exact.
  uint64_t half_bits = uint64_t(((bits >> 23) & 255) - 127 - 24 + 1023) << 52;
  double half;
  std::memcpy(&half, &half_bits, sizeof half);

  struct Decimal {
    uint32_t digits;
    bool fits, doubtful;
  };
  auto decimal = [&](int count) {
    double scaled = size * power[count + zeros], room = half * power[count + zeros];
    uint32_t nearest = uint32_t(int64_t(scaled + 0.5));
    double away = std::fabs(scaled - nearest);
    return Decimal{nearest, away < room, std::fabs(away - room) < margin || away > 0.5 - margin};
  };
  Decimal nine = decimal(9), eight = decimal(8), seven = decimal(7), six = decimal(6);
  if (six.fits | nine.doubtful | eight.doubtful | seven.doubtful | six.doubtful) return nullptr;
  int fewer = eight.fits + (eight.fits & seven.fits);
  uint32_t choices[] = {nine.digits, eight.digits * 10, seven.digits * 100};
  uint32_t digits = choices[fewer];
  if (digits >= 1000000000u) return nullptr;

  *text = '-';
  text += std::signbit(value);
  std::memcpy(text, "0.000", 5);
  text += 2 + zeros;
  text[0] = char('0' + digits / 100000000u);
  uint32_t high = digits / 10000 % 10000, low = digits % 10000;
  std::memcpy(text + 1, pairs + 2 * (high / 100), 2);
  std::memcpy(text + 3, pairs + 2 * (high % 100), 2);
  std::memcpy(text + 5, pairs + 2 * (low / 100), 2);
  std::memcpy(text + 7, pairs + 2 * (low % 100), 2);
  return text + 9 - fewer;
}

template <typename Number>
char *put_number(char *text, Number value) {
  if constexpr (sizeof value == sizeof(float)) {
    if (char *end = put_usual(text, value)) return end;
  }
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

ptrdiff_t float_list_read(const char *text, size_t count, float *values, size_t room, size_t *taken) {
  const char *at = text, *end = text + count;
  auto skip = [&]() {
    while (at < end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')) ++at;
  };
  auto digits = [&]() {
    const char *from = at;
    while (at < end && *at >= '0' && *at <= '9') ++at;
    return at != from;
  };
  if (at == end || *at++ != '[') return -1;
  for (size_t found = 0;; ++found) {
    skip();
    if (found == room) return -1;
    // The number's end by JSON's grammar: from_chars takes more than JSON allows.
    const char *number = at;
    if (at < end && *at == '-') ++at;
    bool zero = at < end && *at == '0';
    const char *whole = at;
    if (!digits() || (zero && at - whole > 1)) return -1;
    if (at < end && *at == '.') {
      ++at;
      if (!digits()) return -1;
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
      ++at;
      if (at < end && (*at == '+' || *at == '-')) ++at;
      if (!digits()) return -1;
    }
    auto result = std::from_chars(number, at, values[found]);
    if (result.ec != std::errc() || result.ptr != at) return -1;
    skip();
    if (at == end) return -1;
    if (*at == ',') {
      ++at;
      continue;
    }
    if (*at++ != ']') return -1;
    *taken = size_t(at - text);
    return ptrdiff_t(found + 1);
  }
}
