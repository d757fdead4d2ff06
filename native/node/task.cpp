#include "node/task.h"

#include <cstdlib>
#include <cstring>

namespace annex::node {

Task::~Task() { std::free(message_); }

void Task::keep_message() {
  const char* message = annex_last_error();
  const size_t bytes = std::strlen(message) + 1;
  message_ = static_cast<char*>(std::malloc(bytes));
  if (message_ != nullptr) std::memcpy(message_, message, bytes);
}

void Task::execute(void* self) {
  Task* const task = static_cast<Task*>(self);
  State expected = State::waiting;
  if (!task->state_.compare_exchange_strong(expected, State::running)) {
    task->environment_->await_withdrawal();
    delete task;
    return;
  }
  task->status_ = task->run();
  if (task->status_ != ANNEX_OK) task->keep_message();
  task->environment_->finished(task);
}

void Task::announce(void* self) {
  Task* const task = static_cast<Task*>(self);
  task->environment_->finished(task);
}

}  // namespace annex::node
