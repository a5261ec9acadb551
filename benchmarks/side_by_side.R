# The process of lme4, or of R alone, for side_by_side.py: one fit with the
# default control per line of the input, one JSON line per answer.

arguments <- commandArgs(trailingOnly = TRUE)
names(arguments) <- c("tool", "path", "formula", "reml", "factors", "family",
                      "weights")
reml <- arguments[["reml"]] == "TRUE"

say <- function(...) {
  cat(sprintf(...), "\n", sep = "")
  flush(stdout())
}

fail <- function(condition) {
  say('{"error": "%s"}', gsub('["\\\\[:cntrl:]]', " ", conditionMessage(condition)))
}

state <- function(fit) {
  messages <- unlist(fit@optinfo$conv$lme4$messages)
  said <- c(if (lme4::isSingular(fit)) "singular",
            if (any(!grepl("singular", messages))) "convergence warning")
  if (length(said)) paste(said, collapse = ", ") else "no warning"
}

if (arguments[["tool"]] != "R" &&
    !suppressMessages(require("lme4", quietly = TRUE))) {
  say('{"error": "not available: R has no package lme4"}')
  quit()
}

data <- read.csv(arguments[["path"]])
for (name in strsplit(arguments[["factors"]], ",")[[1]]) {
  data[[name]] <- factor(data[[name]])
}
version <- if (arguments[["tool"]] == "R") getRversion() else packageVersion("lme4")
weights <- if (nzchar(arguments[["weights"]])) data[[arguments[["weights"]]]]
say('{"version": "%s (%s)", "nobs": %d}', format(version),
    basename(extSoftVersion()[["BLAS"]]), nrow(data))

input <- file("stdin", "r")
while (length(readLines(input, 1))) {
  gc()
  tryCatch({
    start <- Sys.time()
    formula <- as.formula(arguments[["formula"]])
    if (arguments[["tool"]] == "lmer") {
      fit <- lmer(formula, data, REML = reml)
    } else {
      fit <- glmer(formula, data, arguments[["family"]], weights = weights)
      errors <- sqrt(diag(as.matrix(vcov(fit))))
    }
    criterion <- -2 * as.numeric(logLik(fit))
    seconds <- as.numeric(Sys.time() - start, units = "secs")
    say('{"seconds": %.9g, "criterion": %.17g, "evaluations": %d, "state": "%s"}',
        seconds, criterion, as.integer(fit@optinfo$feval), state(fit))
    rm(fit)
  }, error = fail)
}
