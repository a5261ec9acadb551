# What the tables and sentences for papers are compared with: Rscript reporting.R
#
# The tables of modelsummary and the sentences of report are from published pages,
# whose addresses are in the tests; iris, 50 rows of each species, is for the former
# and for examples of performance.
suppressMessages({
  library(lme4)
  library(performance)
  library(jsonlite)
})

criteria <- function(...) {
  table <- as.data.frame(compare_performance(..., metrics = c("AIC", "AICc", "BIC")))
  table$logLik <- sapply(list(...), function(m) as.numeric(logLik(m)))
  table$df <- sapply(list(...), function(m) attr(logLik(m), "df"))
  table[, c("df", "logLik", "AIC", "AICc", "BIC", "AIC_wt", "AICc_wt", "BIC_wt")]
}

ml <- list(
  lmer(Reaction ~ Days + (1 | Subject), sleepstudy, REML = FALSE),
  lmer(Reaction ~ Days + (Days | Subject), sleepstudy, REML = FALSE),
  lm(Reaction ~ Days, sleepstudy)
)
counts <- list(
  glmer(TICKS ~ YEAR + (1 | BROOD), grouseticks, family = poisson),
  glmer.nb(TICKS ~ YEAR + (1 | BROOD), grouseticks),
  glm(TICKS ~ YEAR, grouseticks, family = poisson)
)
versions <- sapply(c("lme4", "performance"), function(p) as.character(packageVersion(p)))
write_json(
  list(
    versions = as.list(c(R = as.character(getRversion()), versions)),
    linear = do.call(criteria, ml),
    counts = do.call(criteria, counts),
    iris = iris[, 1:4]
  ),
  "reporting.json", auto_unbox = TRUE, digits = 12, dataframe = "columns"
)
