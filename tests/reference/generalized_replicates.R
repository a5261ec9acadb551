# Simulated responses of six generalized mixed models by lme4 and
# glmmTMB, and bootstraps of two; of all models or of those named as arguments:
#
#     Rscript tests/reference/generalized_replicates.R > tests/reference/generalized_replicates.json

source("tests/reference/generalized_models.R")

# what glmmTMB lists by part of the model
conditional <- function(x) if ("cond" %in% names(x)) x$cond else x
# counts of successes, or the response
successes <- function(y) {
  if (is.matrix(y)) y[, 1] else if (is.factor(y)) y == levels(y)[2] else y
}
shares <- function(observed, simulated) {
  list(
    observed = observed, mean = mean(simulated), sd = sd(simulated),
    upper = mean(simulated >= observed), lower = mean(simulated <= observed)
  )
}
# responses with new random effects, compared with means at random effects of zero
simulations <- function(m, nsim = 4000) {
  frame <- model.frame(m)
  response <- model.response(frame)
  y <- successes(response)
  drawn <- vapply(simulate(m, nsim), function(d) as.numeric(successes(d)), 0 * y)
  trials <- if (is.matrix(response)) rowSums(response) else 1
  centre <- trials * predict(m, re.form = NA, type = "response")
  spread <- function(y) sqrt(mean((y - centre - mean(y - centre))^2))
  rows <- floor(seq(1, length(y), length.out = 15))
  group <- frame[[names(conditional(ranef(m)))[1]]]
  sums <- function(y) drop(rowsum(as.numeric(y), group))[1:10]
  of_groups <- apply(drawn, 2, sums)
  list(
    nsim = nsim,
    spread = shares(spread(y), apply(drawn, 2, spread)),
    zeros = shares(sum(y == 0), colSums(drawn == 0)),
    rows = rows - 1,
    below = rowMeans(drawn < y)[rows], equal = rowMeans(drawn == y)[rows],
    groups = names(sums(y)),
    group_below = unname(rowMeans(of_groups < sums(y))),
    group_equal = unname(rowMeans(of_groups == sums(y)))
  )
}

# fixed effects and standard deviations of the random effects
parameters <- function(m) {
  fixed <- fixef(m)
  sds <- sapply(VarCorr(m), function(v) attr(v, "stddev")[[1]])
  names(fixed) <- gsub("[()]", "", names(fixed))
  names(sds) <- paste0(names(sds), ": sd Intercept")
  c(fixed, sds)
}
# refits by tolerances that are far below the errors of the bootstrap
quick <- glmerControl("bobyqa")
bootstrap <- function(m, nsim) {
  draws <- bootMer(update(m, control = quick), parameters, nsim)$t
  draws <- draws[complete.cases(draws), ]
  limits <- apply(draws, 2, quantile, c(0.025, 0.25, 0.5, 0.75, 0.975))
  limits <- as.data.frame(signif(limits, 6), optional = TRUE)
  list(nsim = nrow(draws), quantiles = as.list(limits))
}

nsim <- c(cbpp = 200, carrots = 300)
asked <- commandArgs(TRUE)
if (length(asked) == 0) asked <- names(models)
out <- lapply(setNames(asked, asked), function(name) {
  set.seed(20)
  m <- models[[name]]
  residuals <- list(residuals = simulations(m))
  if (name %in% names(nsim)) residuals$bootstrap <- bootstrap(m, nsim[[name]])
  residuals
})
cat(toJSON(c(list(made_by = made_by), out), digits = 7, auto_unbox = TRUE), "\n")
