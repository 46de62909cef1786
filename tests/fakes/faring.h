/* What the fake libraries have in common: how their GPUs fare, asked anew at every call.
 *
 * FAKE_GPU       words, separated by commas. FAKE_GPU_FILE names a file that holds them instead, so that they can be changed
 *                from without while a program runs. "wedged": no call for utilization ever returns. "wedged-start": nor does
 *                the library's start. Each library says which other words it knows.
 * FAKE_VALUE     a number that every reading has.
 * FAKE_CALLS     a file to which the name of every function that is called is written, a line each.
 * FAKE_EVENTS    the events that happen, each once: the same text is not read twice. Each library says how they are written.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *how_they_fare(void) {
    static char words[256];
    const char *path = getenv("FAKE_GPU_FILE"), *now = getenv("FAKE_GPU");
    if (path == NULL) return now == NULL ? "" : now;
    FILE *file = fopen(path, "r");
    size_t length = file == NULL ? 0 : fread(words, 1, sizeof words - 1, file);
    if (file != NULL) fclose(file);
    words[length] = '\0';
    words[strcspn(words, "\r\n")] = '\0';
    return words;
}

static int faring(const char *word) {
    size_t length = strlen(word);
    for (const char *found = how_they_fare(); *found != '\0'; found += strcspn(found, ","), found += *found == ',')
        if (strncmp(found, word, length) == 0 && (found[length] == ',' || found[length] == '\0')) return 1;
    return 0;
}

static void for_ever_if(const char *word) {
    while (faring(word)) pause();
}

static uint64_t reading(uint64_t value, uint64_t nonsense) {
    const char *all = getenv("FAKE_VALUE");
    if (all != NULL && *all != '\0') return strtoull(all, NULL, 0);
    return faring("nonsense") ? nonsense : value;
}

static void called(const char *function) {
    const char *path = getenv("FAKE_CALLS");
    FILE *file = path == NULL ? NULL : fopen(path, "a");
    if (file == NULL) return;
    fprintf(file, "%s\n", function);
    fclose(file);
}

/* The next of the events that are separated by spaces, as text; NULL where all were given out. */
static const char *next_event(void) {
    static char given[256], event[64];
    static size_t at;
    const char *events = getenv("FAKE_EVENTS");
    if (events == NULL) return NULL;
    if (strcmp(given, events) != 0) {
        snprintf(given, sizeof given, "%s", events);
        at = 0;
    }
    at += strspn(given + at, " ");
    size_t length = strcspn(given + at, " ");
    if (length == 0) return NULL;
    snprintf(event, sizeof event, "%.*s", (int)length, given + at);
    at += length;
    return event;
}
