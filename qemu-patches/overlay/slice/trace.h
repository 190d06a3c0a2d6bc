#include "trace/trace-slice.h"
