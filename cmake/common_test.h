// Precompiled (Headers.cmake): what many tests include.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common.h"
