# Tests of generalized models by lme4, glmmTMB and car:
#
#     Rscript tests/reference/generalized_comparisons.R > tests/reference/generalized_comparisons.json

source("tests/reference/generalized_models.R")
suppressMessages(library(car))

several <- function(...) {
  a <- as.list(anova(...))
  list(
    n_params = if (is.null(a$npar)) a$Df else a$npar,
    llf = a$logLik, aic = a$AIC, bic = a$BIC, statistic = a$Chisq[-1],
    df = (if (is.null(a[["Chi Df"]])) a$Df else a[["Chi Df"]])[-1],
    pvalue = a[["Pr(>Chisq)"]][-1]
  )
}
# type 3 needs contrasts that sum to zero; glmmTMB has no sequential tests
terms <- function(m, factors) {
  summed <- sapply(factors, function(f) "contr.sum", simplify = FALSE)
  summed <- eval(as.call(c(as.list(getCall(m)), contrasts = list(summed))))
  second <- Anova(m, type = 2)
  dropped <- drop1(m, test = "Chisq")[-1, ]
  first <- if (inherits(m, "merMod")) list(type1 = anova(m)[["Sum Sq"]])
  others <- list(
    type2 = second$Chisq, type3 = Anova(summed, type = 3)$Chisq[-1],
    term_df = second$Df, dropped_aic = dropped$AIC, dropped = dropped$LRT
  )
  c(first, others)
}

out <- list(made_by = made_by)
m <- models$cbpp
cbpp$obs <- factor(seq_len(nrow(cbpp)))
g <- glm(cbind(incidence, size - incidence) ~ period, binomial, cbpp)
out$cbpp <- c(
  several(update(m, . ~ . - period), m, update(m, . ~ . + (1 | obs))),
  terms(m, "period")
)
out$cbpp_glm <- several(m, g)

m <- models$contraception
out$contraception <- c(
  several(m, update(m, . ~ . - (1 | district) + (urban | district))),
  terms(m, c("urban", "ch"))
)
m <- models$grouseticks
out$grouseticks <- c(several(m, update(m, . ~ . + (1 | INDEX))), terms(m, "YEAR"))
m <- models$carrots
out$carrots <- c(
  several(update(m, . ~ . - trt), m, update(m, . ~ . + (1 | gen:trt))), terms(m, "trt")
)
m <- models$epil
out$epil <- c(several(update(m, . ~ . - trt:visit), m), terms(m, c("trt", "visit")))
m <- models$rats
out$rats <- c(
  several(update(m, . ~ . - Time:Diet), m, update(m, . ~ . + (0 + Time | Rat))),
  terms(m, "Diet")
)
cat(toJSON(out, digits = 12, auto_unbox = TRUE, pretty = TRUE), "\n")
