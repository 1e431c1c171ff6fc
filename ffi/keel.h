/* What every native source shares: visibility of the functions that are called from TypeScript. */
#ifndef KEEL_H
#define KEEL_H

#include <stdint.h>

#define KEEL_EXPORT __attribute__((visibility("default")))

/* Changes with every incompatible change of a structure or a function that crosses the border. */
#define KEEL_ABI 2

#endif
