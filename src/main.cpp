#include "cli/commands.h"

int main(int argc, char** argv) {
  return qd::cli::run_command(argc, argv);
}
