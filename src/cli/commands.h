// The command line. Exit status: 0, 1 when a command ran and the answer is no, 2 when it could not run.
#pragma once

namespace qd::cli {

int run_command(int argc, char** argv);

}  // namespace qd::cli
