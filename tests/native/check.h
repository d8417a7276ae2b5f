// What the drivers share.
#pragma once
#include <cstdio>
#include <cstdlib>

// Ends the driver, and says where, unless `what` holds.
#define CHECK(what)                                          \
  do {                                                       \
    if (!(what)) {                                           \
      std::printf("%s:%d: %s\n", __FILE__, __LINE__, #what); \
      std::exit(1);                                          \
    }                                                        \
  } while (0)
