// A list that frees its nodes, and reads one more.
#include <stdlib.h>

struct node {
  struct node *next;
  int value;
};

static struct node *push(struct node *head, int value) {
  struct node *node = malloc(sizeof *node);
  node->next = head;
  node->value = value;
  return node;
}

static void free_all(struct node *head) {
  for (struct node *node = head; node != NULL; node = node->next) {
    free(node); // and then node->next is read
  }
}

int main(void) {
  struct node *list = NULL;
  for (int value = 0; value < 3; value++) list = push(list, value);
  free_all(list);
  return 0;
}
